/* fuzz_options.c -- a configuration file of any bytes is read or refused with one line that names
 * the file, and what was read keeps every promise of struct options. */
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "fuzz/fuzz.h"
#include "server/options.h"

static void check_text(const char *text, size_t size)
{
    RK_ASSERT(memchr(text, '\0', size) != NULL);
}

static void check_options(const struct options *options)
{
    check_text(options->node_id, sizeof(options->node_id));
    check_text(options->data_dir, sizeof(options->data_dir));
    check_text(options->client_listen, sizeof(options->client_listen));
    check_text(options->peer_advertise, sizeof(options->peer_advertise));
    RK_ASSERT(options->initial_cluster_count <= OPTIONS_CLUSTER_MAX);
    for (uint32_t i = 0; i < options->initial_cluster_count; i++) {
        const struct options_peer *peer = &options->initial_cluster[i];
        RK_ASSERT(peer->name[0] != '\0' && strchr(peer->address, ':') != NULL);
        for (uint32_t j = 0; j < i; j++) {
            RK_ASSERT(strcmp(peer->name, options->initial_cluster[j].name) != 0);
            RK_ASSERT(strcmp(peer->address, options->initial_cluster[j].address) != 0);
        }
    }
    RK_ASSERT(options->max_key_size <= RK_KEY_SIZE_MAX);
    RK_ASSERT(options->max_value_size <= RK_VALUE_SIZE_MAX);
    RK_ASSERT(options->log_level <= RK_LOG_ERROR && options->log_format <= RK_LOG_JSON);
    RK_ASSERT(!options->lease_reads);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct options options;
    char message[OPTIONS_MESSAGE_SIZE] = "";
    const struct rk_bytes text = {.data = data, .size = (uint32_t)size};

    memset(&options, 0, sizeof(options));
    if (options_apply_text("fuzz.conf", text, &options, message, sizeof(message)) != RK_OK) {
        RK_ASSERT(strncmp(message, "fuzz.conf:", strlen("fuzz.conf:")) == 0);
        RK_ASSERT(strchr(message, '\n') == NULL);
        RK_ASSERT(strlen(message) < sizeof(message) - 1); /* nothing was cut off */
    }
    check_options(&options);
    return 0;
}
