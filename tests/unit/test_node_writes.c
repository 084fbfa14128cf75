/* What a client learns of its write when the entry is not its own any more. */
#include "node_fixture.h"

#include "support/run.h"

static struct http_exchange exchange;
static struct client_request request;

/* A client's write that was appended as `id` and waits for its outcome. */
static void write_pend(struct raft_entry_id id)
{
    exchange = (struct http_exchange){.answers = 0};
    request = (struct client_request){.kind = CLIENT_WRITE, .exchange = &exchange};
    pending_add(&fixture.node->pending, id,
                (struct origin){.type = ORIGIN_CLIENT, .client = &request});
}

/* Pitfall 113: an older copy may have been seen elsewhere, so this is not "not done". */
START_TEST(pitfall_113_truncated_write_has_an_unknown_outcome)
{
    fixture_lead();
    const raft_index index = fixture.node->view.last.index + 1;
    write_pend((struct raft_entry_id){.term = 1, .index = index});
    node_truncate_pending(fixture.node, index);
    node_flush_done(fixture.node);

    ck_assert_uint_eq(exchange.answers, 1);
    ck_assert_int_eq(request.status, RK_UNKNOWN);
}
END_TEST

START_TEST(write_before_what_is_truncated_goes_on_waiting)
{
    fixture_lead();
    const raft_index index = fixture.node->view.last.index + 1;
    write_pend((struct raft_entry_id){.term = 1, .index = index});
    node_truncate_pending(fixture.node, index + 1);
    node_flush_done(fixture.node);

    ck_assert_uint_eq(exchange.answers, 0);
    ck_assert_uint_eq(pending_count(&fixture.node->pending), 1);
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("node_writes");
    tcase_add_checked_fixture(tcase, fixture_open, fixture_close);
    tcase_add_test(tcase, pitfall_113_truncated_write_has_an_unknown_outcome);
    tcase_add_test(tcase, write_before_what_is_truncated_goes_on_waiting);
    return run_suite("node_writes", tcase);
}
