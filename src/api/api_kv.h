/* api_kv.h -- /v1/kv/{key}: put, get, delete, and the listings below a prefix.
 *
 * Thread: the HTTP loop that has the request.
 */
#ifndef RK_API_API_KV_H
#define RK_API_API_KV_H

#include <stdbool.h>

#include "api/api.h"
#include "base/json_write.h"

enum api_action kv_get_begin(struct api_call *call, const struct node_view *node,
                             struct http_response *response);
enum api_action kv_put_begin(struct api_call *call, const struct node_view *node,
                             struct http_response *response);
enum api_action kv_delete_begin(struct api_call *call, const struct node_view *node,
                                struct http_response *response);

/* `true` or `false`, and in X-Consul-Index the key's modify index: what the next cas needs. */
void kv_write_finish(struct api_call *call, const struct sm_result *result,
                     struct http_response *response);

/* One entry, its raw value, a listing, or an empty 404; the headers are there in each case. */
void kv_get_finish(struct api_call *call, const struct sm_root *root, const struct node_view *node,
                   struct http_response *response, bool *ret_streams);

/* Listing half of kv_get_finish() (api_kv_list.c). True: entries, or an empty list at the root;
 * false: nothing below the prefix, the response is untouched. A listing that does not fit
 * KV_LIST_SLICE_SIZE goes on as a stream over `root`. With `limit` it ends after so many elements, and
 * if more follow, X-Raftkv-Continue-After says which `start-after` goes on there. */
enum { KV_LIST_SLICE_SIZE = 64 * 1024, KV_LIST_LIMIT_MAX = 10000 };
/* Checks `limit`. False: the response is made. */
bool kv_list_check(const struct api_call *call, struct http_response *response);
bool kv_list_finish(struct api_call *call, const struct sm_root *root,
                    struct http_response *response, bool *ret_streams);

/* One element of an answer, as the contract spells it. */
void kv_entry_render(struct rk_json *json, const struct sm_kv_entry *entry);

#endif
