/* snap_work.c -- jobs on snapshots' files done, on whatever thread asks: the worker's, or the
 * simulator's. */
#include "server/snap_work.h"

#include "base/assert.h"
#include "base/heap.h"

enum {
    SLICE_SIZE = 1 << 20,
    BUF_SIZE_MAX = SLICE_SIZE + SNAP_BODY_SIZE_MAX + SNAP_FRAME_EXTRA_SIZE,
};

_Static_assert((int)SM_IMAGE_RECORD_SIZE_MAX <= (int)SNAP_BODY_SIZE_MAX, "a record fits a frame");

struct snap_job *snap_job_new(enum snap_job_type type)
{
    struct snap_job *job = rk_heap_zalloc(1, sizeof(*job));

    job->type = type;
    rk_buf_init(&job->bytes, type == SNAP_RECORDS ? RESTORE_PIECE_SIZE_MAX : SNAP_PIECE_SIZE);
    return job;
}

void snap_job_free(struct snap_job *job)
{
    sm_free(job->sm);
    rk_buf_done(&job->bytes);
    rk_heap_free(job);
}

/* ---- taking ---- */

static void encode_head(const struct snap_info *info, struct snap_sum *sum, struct rk_buf *buf)
{
    struct rk_buf config;

    rk_buf_init(&config, LOG_SNAPSHOT_CONFIG_SIZE_MAX);
    membership_encode(&info->membership, &config);
    RK_ASSERT(rk_buf_status(&config) == RK_OK);
    const struct snap_head head = {
        .id = info->ref.id,
        .chain = info->chain,
        .config_index = info->config_index,
        .config = rk_buf_bytes(&config),
    };
    snap_file_begin(&head, sum, buf);
    rk_buf_done(&config);
}

static enum rk_status take_begin(struct snap_work *work, struct snap_job *job)
{
    struct rk_buf buf;

    enum rk_status status = snap_store_take(work->store);
    if (status != RK_OK) {
        return status;
    }
    rk_buf_init(&buf, BUF_SIZE_MAX);
    encode_head(&job->info, &work->sum, &buf);
    sm_image_writer_init(&work->writer, &job->root);
    status = snap_store_append(work->store, SNAP_TAKEN, rk_buf_bytes(&buf));
    rk_buf_done(&buf);
    return status;
}

/* Appends the next records to `buf`; false: those were the last, and the end is there too. */
static bool take_records(struct snap_work *work, struct rk_buf *buf)
{
    while (buf->size < SLICE_SIZE) {
        const size_t offset = snap_frame_begin(buf);
        uint8_t type = 0;
        if (!sm_image_write(&work->writer, buf, &type)) {
            buf->size = offset;
            snap_file_end(&work->sum, buf);
            return false;
        }
        snap_frame_end(buf, offset, type, &work->sum);
    }
    return true;
}

/* Pitfall 59: read back whole before anything counts on it. */
static enum rk_status take_end(struct snap_work *work, struct snap_job *job)
{
    struct snap_ref found = {0};
    const uint64_t size = work->store->size[SNAP_TAKEN];

    enum rk_status status = snap_store_publish(work->store, SNAP_TAKEN, job->info.ref.id);
    if (status == RK_OK) {
        status = snap_store_load(work->store, job->info.ref.id, NULL, NULL, &found);
    }
    if (status == RK_OK && (found.size != size || found.digest != work->sum.digest)) {
        status = RK_CORRUPT;
    }
    job->info.ref = found;
    return status;
}

struct snap_job *snap_work_slice(struct snap_work *work)
{
    struct snap_job *job = work->taking;
    struct rk_buf buf;

    RK_ASSERT(job != NULL);
    rk_buf_init(&buf, BUF_SIZE_MAX);
    const bool is_more = take_records(work, &buf);
    RK_ASSERT(rk_buf_status(&buf) == RK_OK);
    job->status = snap_store_append(work->store, SNAP_TAKEN, rk_buf_bytes(&buf));
    rk_buf_done(&buf);
    if (job->status == RK_OK && work->writer.damaged_index > 0) { /* no start could read it */
        job->status = RK_DIFFERS;
        job->offset = work->writer.damaged_index;
    }
    if (job->status == RK_OK && is_more) {
        return NULL;
    }
    if (job->status == RK_OK) {
        job->status = take_end(work, job);
    }
    snap_store_drop(work->store, SNAP_TAKEN);
    work->taking = NULL;
    return job;
}

struct snap_job *snap_work_stop(struct snap_work *work)
{
    struct snap_job *job = work->taking;

    work->taking = NULL;
    snap_store_drop(work->store, SNAP_TAKEN);
    return job;
}

/* ---- reading ---- */

struct loading {
    struct sm_image_reader *reader;
    struct snap_info *info;
    bool has_head;
};

/* Errors: RK_CORRUPT. */
static enum rk_status load_head(struct loading *loading, const struct snap_head *head)
{
    loading->info->chain = head->chain;
    loading->info->config_index = head->config_index;
    loading->has_head = true;
    return membership_decode(head->config, &loading->info->membership);
}

static enum rk_status load_record(void *context, const struct snap_head *head, uint8_t type,
                                  struct rk_bytes body)
{
    struct loading *loading = context;

    if (!loading->has_head) {
        const enum rk_status status = load_head(loading, head);
        if (status != RK_OK) {
            return status;
        }
    }
    return sm_image_read(loading->reader, type, body);
}

/* The image has its own idea of the entry that it is of. */
static enum rk_status load_finish(struct loading *loading, struct sm **ret_sm)
{
    struct sm *sm = NULL;

    const enum rk_status status = sm_image_finish(loading->reader, &sm);
    if (status != RK_OK) {
        return status;
    }
    if (sm_publish(sm).last_applied != loading->info->ref.id.index) {
        sm_free(sm);
        return RK_CORRUPT;
    }
    *ret_sm = sm;
    return RK_OK;
}

enum rk_status snap_load(struct snap_store *store, struct raft_entry_id id, struct sm **ret_sm,
                         struct snap_info *ret)
{
    struct snap_info info = {.ref = {.id = id}};
    struct loading loading = {.reader = sm_image_reader_new(), .info = &info};

    enum rk_status status = snap_store_load(store, id, load_record, &loading, &info.ref);
    if (status == RK_OK) {
        status = load_finish(&loading, ret_sm);
    }
    if (status == RK_OK) {
        *ret = info;
    }
    sm_image_reader_free(loading.reader);
    return status;
}

/* ---- the other jobs ---- */

static enum rk_status run_piece(struct snap_work *work, struct snap_job *job)
{
    size_t size = 0;
    uint8_t *to = rk_buf_extend(&job->bytes, SNAP_PIECE_SIZE);

    RK_ASSERT(to != NULL);
    const enum rk_status status =
        snap_store_read(work->store, job->info.ref.id, job->offset, to, SNAP_PIECE_SIZE, &size);
    job->bytes.size = size;
    return status;
}

/* Opens the part for `ref`; more than the whole is there only if it is not that file's. */
static enum rk_status open_received(struct snap_work *work, const struct snap_ref *ref)
{
    uint64_t size = 0;

    if (work->store->is_open[SNAP_RECEIVED] && snap_ref_equal(&work->received, ref)) {
        return RK_OK;
    }
    snap_store_drop(work->store, SNAP_RECEIVED);
    work->received = *ref;
    enum rk_status status = snap_store_receive(work->store, ref, &size);
    if (status == RK_OK && size > ref->size) {
        snap_store_drop(work->store, SNAP_RECEIVED);
        status = snap_store_receive(work->store, ref, &size);
    }
    return status;
}

static enum rk_status run_receive(struct snap_work *work, struct snap_job *job)
{
    enum rk_status status = open_received(work, &job->info.ref);
    if (status != RK_OK) {
        return status;
    }
    const uint64_t *size = &work->store->size[SNAP_RECEIVED];
    if (job->offset == *size && job->bytes.size > 0) {
        RK_ASSERT(job->offset + job->bytes.size <= job->info.ref.size);
        status = snap_store_append(work->store, SNAP_RECEIVED, rk_buf_bytes(&job->bytes));
    }
    job->offset = *size;
    if (status != RK_OK) {
        snap_store_drop(work->store, SNAP_RECEIVED);
    }
    return status;
}

static enum rk_status run_build(struct snap_work *work, struct snap_job *job)
{
    const struct snap_ref wanted = job->info.ref;

    RK_ASSERT(work->store->is_open[SNAP_RECEIVED] && snap_ref_equal(&work->received, &wanted));
    RK_ASSERT(work->store->size[SNAP_RECEIVED] == wanted.size);
    enum rk_status status = snap_store_publish(work->store, SNAP_RECEIVED, wanted.id);
    if (status == RK_OK) {
        status = snap_load(work->store, wanted.id, &job->sm, &job->info);
    }
    if (status == RK_OK && !snap_ref_equal(&job->info.ref, &wanted)) {
        status = RK_CORRUPT;
    }
    return status;
}

static enum rk_status run_at_once(struct snap_work *work, struct snap_job *job)
{
    switch (job->type) {
    case SNAP_PIECE:
        return run_piece(work, job);
    case SNAP_RECEIVE:
        return run_receive(work, job);
    case SNAP_BUILD:
        return run_build(work, job);
    case SNAP_RETAIN:
        return snap_store_retain(work->store, job->ids, job->ids_count);
    case SNAP_CHECK:
        return restore_source_check(job->restore);
    case SNAP_RECORDS:
        return restore_source_read(job->restore, &job->bytes);
    case SNAP_FREE:
    case SNAP_TAKE:
        break;
    }
    sm_free(job->sm);
    job->sm = NULL;
    return RK_OK;
}

bool snap_work_run(struct snap_work *work, struct snap_job *job)
{
    if (job->type != SNAP_TAKE) {
        job->status = run_at_once(work, job);
        return true;
    }
    RK_ASSERT(work->taking == NULL);
    job->status = take_begin(work, job);
    if (job->status != RK_OK) {
        snap_store_drop(work->store, SNAP_TAKEN);
        return true;
    }
    work->taking = job;
    return false;
}
