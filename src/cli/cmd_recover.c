/* raftkv recover: one node's directory becomes a cluster of its own, when the others are gone for good. */
#include "backup/recover.h"
#include "base/json_write.h"
#include "cli/cli.h"
#include "cli/output.h"

enum { REPORT_SIZE_MAX = 64 * 1024 };

static void report_json(const struct cli *cli, const struct recovered *recovered)
{
    struct rk_buf buf;
    struct rk_json json;

    rk_buf_init(&buf, REPORT_SIZE_MAX);
    rk_json_init(&json, &buf, true);
    rk_json_object_begin(&json);
    rk_json_member_text(&json, "node", recovered->node);
    rk_json_member_text(&json, "peer_address", recovered->peer_address);
    rk_json_member_text(&json, "former_cluster_id", recovered->former_cluster);
    rk_json_member_text(&json, "cluster_id", recovered->cluster);
    rk_json_member_u64(&json, "members_lost", recovered->members_lost);
    rk_json_member_u64(&json, "last_index", recovered->last.index);
    rk_json_member_u64(&json, "last_term", recovered->last.term);
    rk_json_member_u64(&json, "lost_index", recovered->lost_index);
    rk_json_member_u64(&json, "index", recovered->entry.index);
    rk_json_member_u64(&json, "term", recovered->entry.term);
    rk_json_object_end(&json);
    output_bytes(cli->out, rk_buf_bytes(&buf));
    rk_buf_done(&buf);
}

/* On standard error, whatever is done with the output: it is to be read. */
static void warn(const struct cli *cli, const struct recovered *recovered)
{
    fprintf(cli->err,
            "raftkv: WARNING: node %s alone is the cluster now, under a new id.\n"
            "raftkv: WARNING: what its log did not hold up to entry %llu of term %llu is lost, and "
            "what it "
            "held\nraftkv: WARNING: without a majority counts from now on.\n",
            recovered->node, (unsigned long long)recovered->last.index,
            (unsigned long long)recovered->last.term);
    if (recovered->lost_index > 0) {
        fprintf(cli->err,
                "raftkv: WARNING: this log once reached to entry %llu: its end was lost before.\n",
                (unsigned long long)recovered->lost_index);
    }
    fprintf(
        cli->err,
        "raftkv: WARNING: never start the other %u former member%s on their directories again:\n"
        "raftkv: WARNING: a majority of them would go on as the former cluster.\n",
        recovered->members_lost, recovered->members_lost == 1 ? "" : "s");
}

enum cli_exit cmd_recover(struct cli *cli, const struct args *args)
{
    char message[RECOVER_MESSAGE_SIZE];
    struct recovered recovered;

    if ((args->given & (ARGS_DATA_DIR | ARGS_CLUSTER_ID)) != (ARGS_DATA_DIR | ARGS_CLUSTER_ID)) {
        fputs("raftkv: recover needs --data-dir and --cluster-id\n", cli->err);
        return CLI_USAGE;
    }
    if (recover(args->data_dir, args->cluster_id, &recovered, message, sizeof(message)) != RK_OK) {
        fprintf(cli->err, "raftkv: recover: %s\n", message);
        return CLI_REFUSED;
    }
    warn(cli, &recovered);
    if (args->json) {
        report_json(cli, &recovered);
    } else {
        fprintf(cli->out,
                "cluster %s is gone; %s is cluster %s\n"
                "start it with --initial-cluster %s=%s, then add members with empty directories\n",
                recovered.former_cluster, recovered.node, recovered.cluster, recovered.node,
                recovered.peer_address);
    }
    return CLI_DONE;
}
