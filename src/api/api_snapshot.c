#include "api/api_snapshot.h"

#include <string.h>

#include "api/answer.h"
#include "api/error.h"
#include "api/read_options.h"

enum api_action snapshot_get_begin(struct api_call *call, const struct node_view *node,
                                   struct http_response *response)
{
    if (!datacenter_check(call, response) ||
        !read_options_parse_consistency(call, node, response)) {
        return API_RESPOND;
    }
    return API_READ;
}

void snapshot_get_finish(struct api_call *call, const struct sm_root *root,
                         const struct node_view *node, struct http_response *response,
                         bool *ret_streams)
{
    *ret_streams = false;
    response->status = 200;
    http_response_header_static(response, "Content-Type", "application/x-gzip");
    answer_read_headers(response, node, root->last_applied);
    call->is_backup = true;
}

bool snapshot_takes_body(const struct http_request *request)
{
    static const char path[] = "/v1/snapshot";
    const char *target = request->target;

    return request->method == HTTP_PUT && strncmp(target, path, sizeof(path) - 1) == 0 &&
           (target[sizeof(path) - 1] == '\0' || target[sizeof(path) - 1] == '?');
}

enum api_action snapshot_put_begin(struct api_call *call, const struct node_view *node,
                                   struct http_response *response)
{
    (void)node;
    if (!datacenter_check(call, response)) {
        return API_RESPOND;
    }
    if (call->request->sink == NULL) {
        return answer_text(response, 400,
                           "The body must be a backup, as GET /v1/snapshot gives it");
    }
    return API_RESTORE;
}

static void refuse(enum rk_status status, const char *why, struct http_response *response)
{
    if (why != NULL) { /* the contract knows one status for an archive that is none */
        answer_text_begin(response, status == RK_TOO_LARGE ? 413 : 500);
        rk_buf_append_text(&response->body, "The backup was not restored: ");
        rk_buf_append_text(&response->body, why);
        return;
    }
    if (status == RK_CONFLICT) {
        answer_text(response, 500,
                    "The restore was interrupted, by a new leader or a pause: nothing was changed");
    } else if (status == RK_IO) {
        answer_text(response, 500,
                    "The backup could not be kept or read here: nothing was changed");
    } else {
        answer_text(response, error_http_status(status), error_write_text(status));
    }
    if (status == RK_BUSY || status == RK_RESTORING) {
        http_response_header_static(response, "Retry-After", "1");
    }
}

void snapshot_put_finish(enum rk_status status, const char *why, raft_index index,
                         struct http_response *response)
{
    if (status == RK_OK) {
        response->status = 200;
        http_response_header_u64(response, "X-Consul-Index", index);
        return;
    }
    http_response_header_static(response, "X-Raftkv-Outcome",
                                status == RK_UNKNOWN ? "unknown" : "not-done");
    refuse(status, why, response);
}
