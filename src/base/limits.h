/* limits.h -- every maximum of the program, each with its reason, related by static assertions.
 *
 * What an operator may lower is an option (server/options.c); these are the ceilings that the
 * options, the buffers and the wire format are built for. Sizes are bytes.
 */
#ifndef RK_BASE_LIMITS_H
#define RK_BASE_LIMITS_H

enum {
    RK_KEY_SIZE_MAX = 4096,         /* a key; a fully escaped one is three times as long */
    RK_VALUE_SIZE_MAX = 512 * 1024, /* a value: stock clients write chunks of exactly this */
    RK_REQUEST_SIZE_MAX = 8 << 20,  /* a client's request body, swallowed before a 413 */
    RK_TARGET_SIZE_MAX = 16 * 1024, /* a request line holds a fully escaped key */
    RK_TARGET_AND_ANSWER_FIELD_SIZE_MAX = 15 * 1024, /* a long target and a long field of its answer
                                                         * share the memory of a connection */
    RK_HEADERS_MAX = 64,                             /* header fields of one request */
    RK_QUERY_PARAMETERS_MAX = 64,                    /* parameters of one query string */

    RK_COMMAND_SIZE_MAX = 1 << 20, /* one encoded command: key, value and a fixed part */
    RK_FRAME_SIZE_MAX = RK_COMMAND_SIZE_MAX + 64, /* header, type, command, check */
    RK_APPEND_BYTES_TARGET = 1 << 20,             /* an append stops taking entries here */
    RK_PEER_BODY_SIZE_MAX = 8 << 20,              /* a body on the peer listener, whole */
    RK_FORWARD_ITEMS_MAX = 256,                   /* writes in one forwarded batch */

    RK_NODE_NAME_SIZE_MAX = 64, /* node-id, without the terminating NUL */
    RK_ADDRESS_SIZE_MAX = 261,  /* host:port; a DNS name is at most 253 bytes */
    RK_PROTOCOL_VERSION = 1,    /* of the peer messages */
};

/* What is accepted must replicate: an entry that no append could carry would block the log. */
_Static_assert(RK_KEY_SIZE_MAX + RK_VALUE_SIZE_MAX + 256 <= RK_COMMAND_SIZE_MAX,
               "a put fits one command");
_Static_assert(RK_APPEND_BYTES_TARGET + RK_FRAME_SIZE_MAX + 4096 <= RK_PEER_BODY_SIZE_MAX,
               "an append that stops at its target still fits the receiver's limit");
_Static_assert(3 * RK_KEY_SIZE_MAX + 512 <= RK_TARGET_SIZE_MAX,
               "a fully escaped key fits the request line");

#endif
