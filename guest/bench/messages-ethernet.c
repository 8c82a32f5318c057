/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mps2-an385's Ethernet, a LAN9118, as a carrier of messages: one in each frame, whose
 * type is the message's length.
 */

#include "board.h"
#include "console.h"
#include "messages.h"

#define LAN9118(offset) (*(volatile uint32_t *)(0x40200000 + (offset)))
#define RX_DATA LAN9118(0x00)
#define TX_DATA LAN9118(0x20)
#define RX_STATUS LAN9118(0x40)
#define TX_STATUS LAN9118(0x48)
#define ID_REV LAN9118(0x50)
#define IRQ_CFG LAN9118(0x54)
#define INT_STS LAN9118(0x58)
#define INT_EN LAN9118(0x5C)
#define TX_CFG LAN9118(0x70)
#define RX_FIFO_INF LAN9118(0x7C)
#define TX_FIFO_INF LAN9118(0x80)
#define MAC_CSR_CMD LAN9118(0xA4)
#define MAC_CSR_DATA LAN9118(0xA8)
#define LAN9118_IRQ 13u

#define IRQ_PUSH_PULL_HIGH (1u << 8 | 1u << 4 | 1u << 0)
#define INT_RX_STATUS_LEVEL (1u << 3)
#define TX_ON (1u << 1)
#define TX_FIRST_AND_LAST (1u << 13 | 1u << 12)
#define MAC_BUSY (1u << 31)
#define MAC_CR 1u
#define MAC_PROMISCUOUS (1u << 18)
#define MAC_TX_RX (1u << 3 | 1u << 2)

#define HEADER_BYTES 14u
#define CRC_BYTES 4u
#define FRAME_WORDS ((HEADER_BYTES + MESSAGE_MAX + CRC_BYTES + 3) / 4)

static volatile uint32_t interrupts;

static void ethernet_vector(void)
{
    INT_STS = INT_RX_STATUS_LEVEL;
    interrupts++;
}

static void ethernet_open(void)
{
    if (ID_REV >> 16 != 0x0118) {
        print("messages: FAILED no LAN9118, its ID reads 0x%x\n",
              (unsigned)ID_REV);
        halt();
    }
    MAC_CSR_DATA = MAC_PROMISCUOUS | MAC_TX_RX;
    MAC_CSR_CMD = MAC_BUSY | MAC_CR;
    while (MAC_CSR_CMD & MAC_BUSY) {
    }
    TX_CFG = TX_ON;
    IRQ_CFG = IRQ_PUSH_PULL_HIGH;
    INT_EN = INT_RX_STATUS_LEVEL;
    irq_enable(LAN9118_IRQ, ethernet_vector);
}

static void ethernet_send(const unsigned char *message, size_t bytes)
{
    static uint32_t frame[FRAME_WORDS];
    unsigned char *byte = (unsigned char *)frame;
    size_t length = HEADER_BYTES + bytes;

    for (size_t i = 0; i < 6; i++) {
        byte[i] = 0xFF;
        byte[6 + i] = (unsigned char)(i == 0 ? 2 : 0);
    }
    byte[12] = (unsigned char)(bytes >> 8);
    byte[13] = (unsigned char)bytes;
    for (size_t i = 0; i < bytes; i++) {
        byte[HEADER_BYTES + i] = message[i];
    }
    TX_DATA = TX_FIRST_AND_LAST | (uint32_t)length;
    TX_DATA = (uint32_t)length;
    for (size_t i = 0; i < (length + 3) / 4; i++) {
        TX_DATA = frame[i];
    }
    while (TX_FIFO_INF >> 16 & 0xFF) {
        (void)TX_STATUS;
    }
}

static void ethernet_poll(message_handler *handler)
{
    static uint32_t frame[FRAME_WORDS];
    const unsigned char *byte = (const unsigned char *)frame;

    while (RX_FIFO_INF >> 16 & 0xFF) {
        size_t words = (RX_STATUS >> 16 & 0x3FFF) + 3;

        for (size_t i = 0; i < words / 4; i++) {
            uint32_t word = RX_DATA;

            if (i < FRAME_WORDS) {
                frame[i] = word;
            }
        }
        handler(byte + HEADER_BYTES, (size_t)(byte[12] << 8 | byte[13]));
    }
}

const struct carrier ethernet_carrier = {
    ethernet_open, ethernet_send, ethernet_poll, &interrupts,
};
