#include "api/api_snapshot.h"

#include "api/answer.h"
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
