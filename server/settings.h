/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef IVSHMEMD_SETTINGS_H
#define IVSHMEMD_SETTINGS_H

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

#define DEFAULT_SOCKET "/tmp/ivshmem_socket"
#define DEFAULT_SIZE (4 << 20)
#define DEFAULT_VECTORS 1

/* A socket of a channel */
typedef struct SocketSettings {
    char *path;
    int id;                 /* 0 to 65535: of the client that connects here; -1: any */
    int vectors;            /* 0 to 64; -1: as for the channel */
    int mode;               /* 0 to 0777; -1: according to the umask */
    char *group;            /* NULL: not changed */
} SocketSettings;

typedef struct ChannelSettings {
    char *name;             /* [A-Za-z0-9._-], 1 to 63 */
    char *object;           /* POSIX object; NULL: none */
    char *directory;        /* of a file; NULL: none. If both are NULL: a memfd */
    uint64_t size;          /* bytes, before rounding */
    unsigned vectors;       /* 0 to 64 */
    GPtrArray *sockets;     /* of SocketSettings */
} ChannelSettings;

typedef struct Settings {
    GPtrArray *channels;    /* of ChannelSettings */
    char *control;          /* path of the control socket; NULL: none */
} Settings;

Settings *settings_new(void);
void settings_free(Settings *settings);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Settings, settings_free)

/* A channel with the defaults and no socket. @settings owns it. */
ChannelSettings *settings_add_channel(Settings *settings, const char *name);

/* A socket as "PATH[,id=N][,vectors=N][,mode=0660][,group=NAME]" */
bool settings_add_socket(ChannelSettings *channel, const char *text, GError **error);

bool settings_set_size(ChannelSettings *channel, const char *text, GError **error);
bool settings_set_vectors(ChannelSettings *channel, const char *text, GError **error);
bool settings_set_object(ChannelSettings *channel, const char *text, GError **error);
bool settings_set_directory(ChannelSettings *channel, const char *text,
                            GError **error);

/* The number of vectors for a client that connects at @socket */
unsigned settings_vectors(const ChannelSettings *channel, const SocketSettings *socket);

/* Fails if settings that are valid on their own conflict. */
bool settings_check(const Settings *settings, GError **error);

#endif
