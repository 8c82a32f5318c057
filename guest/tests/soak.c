/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Plays ball with another VM until the host ends the game.  The two ring each
 * other and sleep at random moments, and check every message.
 *
 * Shared memory, little-endian 32-bit words, each with one writer:
 *
 *     0x0000  struct orders   from the host, before the VMs start
 *     0x1000  struct side     of the VM with ID 0
 *     0x2000  struct side     of the VM with ID 1
 *
 * BALLS.  A VM that holds a ball throws it sooner or later.  A VM without a ball
 * sleeps, and only its doorbell wakes it.  No ball gets lost, so the game goes on
 * unless a doorbell or a wake-up is lost.
 *
 * MESSAGES are numbered from 1.  A throw is a burst of messages, and the last one
 * brings the ball.  Each overwrites the one before, so that the other VM may
 * miss all of a burst but the last.
 *
 * DOORBELLS.  Some messages ring in any case, others only if the other VM has
 * said that it may be asleep: it looks for messages after it has said so.
 * Several may become one.
 *
 * After a throw a VM does not ring again before its last message was read and
 * its last doorbell heard.  So no later doorbell makes up for one that was lost,
 * and the host sees the loss.
 *
 * Says "soak: plays as id=ID" once it is up, and "soak: FAILED" and why if a
 * message is wrong.
 */

#include <stdbool.h>
#include <stddef.h>

#include "board.h"
#include "console.h"
#include "device.h"

#define SIDES 2u
#define BALLS 1u     /* that each side starts with: more would rarely sleep */
#define BURST_MAX 8u /* messages */
#define PAYLOAD_MAX 64u

/* A cache line of the host to itself, so that words can overtake each other. */
#define LINE __attribute__((aligned(64)))

struct message {
    uint32_t burst_first; /* number of the first message of its burst */
    uint32_t burst_last;
    uint32_t balls;    /* thrown with the last one */
    uint32_t checksum; /* sum_up() */
    uint32_t length;   /* words of payload, 1 to PAYLOAD_MAX */
    uint32_t payload[PAYLOAD_MAX]; /* payload_word(number, index) */
};

struct orders {
    uint32_t hold; /* 1: throw no more; the host may set it at any time */
    uint32_t seed; /* any number */
};

/* Its VM writes it, the other one and the host read it. */
struct side {
    LINE uint32_t present; /* 1: doorbells are listened to */
    uint32_t balls;        /* in hand */

    LINE uint32_t may_sleep; /* 1: ring me, or I may miss what you write */

    LINE uint32_t begun; /* number of the message being written */
    uint32_t complete;   /* number of the message that can be read */

    LINE uint32_t rung; /* doorbells */
    uint32_t heard;     /* the other's rung, as the last interrupt found it */
    uint32_t read;      /* number of the last message read */

    LINE uint32_t interrupts;
    uint32_t messages; /* read */
    uint32_t skipped;  /* messages that were overwritten unread */
    uint32_t wake_ups;

    LINE struct message message;
};

_Static_assert(offsetof(struct side, may_sleep) == 0x40, "layout");
_Static_assert(offsetof(struct side, begun) == 0x80, "layout");
_Static_assert(offsetof(struct side, rung) == 0xC0, "layout");
_Static_assert(offsetof(struct side, interrupts) == 0x100, "layout");
_Static_assert(offsetof(struct side, message) == 0x140, "layout");

static const struct orders *orders;
static struct side *me;
static const struct side *other;
static uint16_t other_id;

/* The burst that is being read, or was read last. */
static uint32_t burst_first, burst_last;

/* Short names for what is done on every other line. */
static uint32_t get(const uint32_t *word)
{
    return ivshmem_flat_load32(word);
}

static void put(uint32_t *word, uint32_t number)
{
    ivshmem_flat_store32(word, number);
}

/* To a word of this side's own. */
static void add(uint32_t *word, uint32_t number)
{
    put(word, get(word) + number);
}

__attribute__((format(printf, 1, 2), noreturn)) static void
failed(const char *format, ...)
{
    va_list arguments;

    print("soak: FAILED ");
    va_start(arguments, format);
    print_list(format, arguments);
    va_end(arguments);
    print("\n");
    halt();
}

/*
 * Chance
 */

static uint32_t chance; /* never 0 */

static uint32_t draw(void)
{
    chance ^= chance << 13;
    chance ^= chance >> 17;
    chance ^= chance << 5;
    return chance;
}

/* 1 to most */
static uint32_t draw_number(uint32_t most)
{
    return 1 + draw() % most;
}

/* Keeps the CPU busy: mostly for next to no time, at times for much longer. */
static void dawdle(void)
{
    unsigned shift = 15 + draw() % 17;

    for (uint32_t rounds = draw() >> shift; rounds > 0; rounds--) {
        __asm__ volatile("");
    }
}

/*
 * Messages
 */

static uint32_t payload_word(uint32_t number, uint32_t index)
{
    return number ^ index * 0x9E3779B1u;
}

/* Of number and all words but the checksum itself. */
static uint32_t sum_up(uint32_t number, const struct message *message)
{
    uint32_t sum = number;

    sum = (sum ^ message->burst_first) * 0x01000193u;
    sum = (sum ^ message->burst_last) * 0x01000193u;
    sum = (sum ^ message->balls) * 0x01000193u;
    sum = (sum ^ message->length) * 0x01000193u;
    for (uint32_t i = 0; i < message->length; i++) {
        sum = (sum ^ message->payload[i]) * 0x01000193u;
    }
    return sum;
}

/*
 * Between the shared memory and the CPU's, either way.  Leaves the words of the
 * payload that are not used as they are.
 */
static void copy_message(volatile struct message *to,
                         const volatile struct message *from, uint32_t length)
{
    volatile uint32_t *to_words = (volatile uint32_t *)to;
    const volatile uint32_t *from_words = (const volatile uint32_t *)from;
    uint32_t words = offsetof(struct message, payload) / 4 +
                     (length < PAYLOAD_MAX ? length : PAYLOAD_MAX);

    for (uint32_t i = 0; i < words; i++) {
        to_words[i] = ivshmem_flat_le32(from_words[i]);
    }
}

static void fill_message(uint32_t number, struct message *message)
{
    message->length = draw_number(PAYLOAD_MAX);
    for (uint32_t i = 0; i < message->length; i++) {
        message->payload[i] = payload_word(number, i);
    }
    message->checksum = sum_up(number, message);
}

static void write_message(uint32_t number, const struct message *message)
{
    put(&me->begun, number);
    ivshmem_flat_barrier();
    copy_message(&me->message, message, message->length);
    put(&me->complete, number);
}

/*
 * Waits, but not forever, until the last message was read: what follows finds
 * the other side awake and about to go to sleep.
 */
static void catch_reader(void)
{
    for (unsigned patience = 1u << 14; patience > 0; patience--) {
        if (get(&other->read) == get(&me->complete)) {
            return;
        }
    }
}

static void ring(void)
{
    add(&me->rung, 1);
    ivshmem_flat_ring(&shm, other_id, 0);
}

static void throw_balls(void)
{
    static struct message message;
    uint32_t number = get(&me->complete);

    message.burst_first = number + 1;
    message.burst_last = number + draw_number(draw_number(BURST_MAX));
    message.balls = draw_number(get(&me->balls));
    add(&me->balls, -message.balls);

    while (number != message.burst_last) {
        bool in_any_case = draw() % 2;

        fill_message(++number, &message);
        if (draw() % 2) {
            catch_reader();
        }
        dawdle();
        write_message(number, &message);
        ivshmem_flat_barrier();
        if (in_any_case || get(&other->may_sleep)) {
            ring();
        }
    }
}

static void check_message(unsigned number, const struct message *message)
{
    bool between_bursts = get(&me->read) == burst_last;
    unsigned expected = between_bursts ? burst_last + 1 : burst_first;
    unsigned first = message->burst_first, last = message->burst_last;
    unsigned length = message->length, checksum = message->checksum, sum;

    if (length < 1 || length > PAYLOAD_MAX) {
        failed("message %u has %u words, must be 1 to %u", number, length,
               PAYLOAD_MAX);
    }
    for (unsigned i = 0; i < length; i++) {
        unsigned word = message->payload[i];

        if (word != payload_word(number, i)) {
            failed("message %u is torn: word %u of %u is 0x%x, as in message "
                   "%u", number, i, length, word,
                   (unsigned)payload_word(word, i));
        }
    }
    sum = sum_up(number, message);
    if (checksum != sum) {
        failed("message %u has checksum 0x%x, its words have 0x%x", number,
               checksum, sum);
    }
    if (number - first > last - first || last - first >= BURST_MAX) {
        failed("message %u says that its burst is %u to %u", number, first,
               last);
    }
    if (first != expected || (!between_bursts && last != burst_last)) {
        failed("message %u is in burst %u to %u, expected the burst that "
               "begins with %u", number, first, last, expected);
    }
}

/* Reads the newest message, if it is new, and complete to the end. */
static void look(void)
{
    static struct message message;
    uint32_t number = get(&other->complete);

    if (number == get(&me->read)) {
        return;
    }
    copy_message(&message, &other->message, get(&other->message.length));
    ivshmem_flat_barrier();
    if (get(&other->begun) != number) {
        return; /* overwritten meanwhile: there will be a newer one */
    }

    check_message(number, &message);
    burst_first = message.burst_first;
    burst_last = message.burst_last;
    if (number == burst_last) {
        add(&me->balls, message.balls);
    }
    add(&me->messages, 1);
    add(&me->skipped, number - get(&me->read) - 1);
    put(&me->read, number);
}

/*
 * The game
 */

static void on_doorbell(void *context, uint16_t vector)
{
    (void)context;
    (void)vector;
    doorbells++;
    add(&me->interrupts, 1);
    put(&me->heard, get(&other->rung));
}

static void shm_vector(void)
{
    ivshmem_flat_isr(&shm, 0);
}

static bool last_throw_has_arrived(void)
{
    return get(&other->read) == get(&me->complete) &&
           get(&other->heard) == get(&me->rung);
}

/* Sleeps until the doorbell rings; seen is doorbells before the last look. */
static void wait_for_doorbell(uint32_t seen)
{
    bool slept;

    put(&me->may_sleep, 1);
    ivshmem_flat_barrier();
    if (get(&other->complete) == get(&me->read)) {
        dawdle(); /* a doorbell that comes now must not be slept through */
        slept = doorbells == seen;
        sleep_while(&doorbells, seen);
        add(&me->wake_ups, slept);
    }
    put(&me->may_sleep, 0);
}

__attribute__((noreturn)) static void play(void)
{
    for (;;) {
        uint32_t seen = doorbells;

        look();
        dawdle();
        if (get(&me->balls) == 0 || get(&orders->hold)) {
            wait_for_doorbell(seen);
        } else if (last_throw_has_arrived()) {
            throw_balls();
        }
    }
}

static struct side *side_of(uint16_t id)
{
    return ivshmem_flat_at(&shm, 0x1000u + id * 0x1000u, sizeof(struct side));
}

int main(void)
{
    uint16_t own_id;

    find_device();
    own_id = ivshmem_flat_own_id(&shm);
    if (own_id >= SIDES) {
        failed("own ID is %u, must be 0 to %u", own_id, SIDES - 1);
    }
    other_id = 1 - own_id;
    orders = ivshmem_flat_at(&shm, 0, sizeof(*orders));
    me = side_of(own_id);
    other = side_of(other_id);
    chance = (get(&orders->seed) + own_id) * 2 + 1;

    ivshmem_flat_set_handler(&shm, on_doorbell, NULL);
    irq_enable(BOARD_SHM_IRQ, shm_vector);
    print("soak: plays as id=%u\n", own_id);
    put(&me->balls, BALLS);
    put(&me->present, 1);
    while (!get(&other->present)) {
    }
    play();
}
