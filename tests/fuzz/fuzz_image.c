/* fuzz_image.c -- an image whose bytes are anything: reading stays inside them, and what is taken
 * for an image is exactly what the writer writes of the state it made. A record is a byte of type
 * and two of size before its body. */
#include <string.h>

#include "base/assert.h"
#include "base/le.h"
#include "fuzz/fuzz.h"
#include "statemachine/image.h"

enum { HEAD_SIZE = 3 };

/* Takes a record off the front; a size past the end is cut. False: nothing is left. */
static bool take_record(struct rk_bytes *rest, uint8_t *ret_type, struct rk_bytes *ret_body)
{
    if (rest->size < HEAD_SIZE) {
        return false;
    }
    const uint32_t size = rk_le_u16(rest->data + 1);
    const uint32_t left = rest->size - HEAD_SIZE;
    *ret_type = rest->data[0];
    *ret_body =
        (struct rk_bytes){.data = rest->data + HEAD_SIZE, .size = size < left ? size : left};
    rest->data += HEAD_SIZE + ret_body->size;
    rest->size -= HEAD_SIZE + ret_body->size;
    return true;
}

static struct sm *read_image(struct rk_bytes rest)
{
    struct sm_image_reader *reader = sm_image_reader_new();
    struct rk_bytes body;
    struct sm *sm = NULL;
    uint8_t type = 0;
    enum rk_status status = RK_OK;

    while (status == RK_OK && take_record(&rest, &type, &body)) {
        status = sm_image_read(reader, type, body);
    }
    if (status == RK_OK) {
        status = sm_image_finish(reader, &sm);
    }
    RK_ASSERT(status == RK_OK || status == RK_CORRUPT);
    sm_image_reader_free(reader);
    return sm;
}

static void check_written_the_same(struct sm *sm, struct rk_bytes rest)
{
    const struct sm_root root = sm_publish(sm);
    struct sm_image_writer writer;
    struct rk_bytes body = {0};
    struct rk_buf buf;
    uint8_t type = 0;
    uint8_t written = 0;

    rk_buf_init(&buf, SM_IMAGE_RECORD_SIZE_MAX);
    sm_image_writer_init(&writer, &root);
    while (sm_image_write(&writer, &buf, &written)) {
        const bool has_record = take_record(&rest, &type, &body);
        RK_ASSERT(has_record && type == written);
        RK_ASSERT(buf.size == body.size && memcmp(buf.data, body.data, body.size) == 0);
        rk_buf_reset(&buf);
    }
    rk_buf_done(&buf);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct rk_bytes bytes = {.data = data, .size = (uint32_t)size};
    struct sm *sm = read_image(bytes);

    if (sm != NULL) {
        check_written_the_same(sm, bytes);
        sm_free(sm);
    }
    return 0;
}
