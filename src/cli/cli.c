#include "cli/cli.h"

#include <string.h>

#include "base/assert.h"
#include "cli/output.h"

static const char default_addr[] = "http://127.0.0.1:8500";

struct command {
    const char *words[2]; /* the second is NULL where one names the command */
    uint32_t operands_min;
    uint32_t operands_max;
    uint32_t flags; /* of enum args_flag: what it takes */
    enum cli_exit (*run)(struct cli *cli, const struct args *args);
    const char *operands; /* for people */
    const char *help;
};

static const struct command commands[] = {
    {{"kv", "get"},
     1,
     1,
     ARGS_STALE | ARGS_CONSISTENT,
     cmd_kv_get,
     "KEY [--stale | --consistent]",
     "print the bare value"},
    {{"kv", "put"},
     1,
     2,
     ARGS_CAS | ARGS_FLAGS | ARGS_TTL,
     cmd_kv_put,
     "KEY [VALUE | - | @FILE] [--cas N] [--flags N] [--ttl TIME]",
     "set it; - reads the value from standard input"},
    {{"kv", "delete"},
     1,
     1,
     ARGS_CAS | ARGS_RECURSE,
     cmd_kv_delete,
     "KEY [--cas N | --recurse]",
     "remove it, or all keys that begin with it"},
    {{"kv", "list"},
     0,
     1,
     ARGS_STALE | ARGS_CONSISTENT | ARGS_LIMIT | ARGS_START_AFTER,
     cmd_kv_list,
     "[PREFIX] [--limit N] [--start-after KEY] [--stale | --consistent]",
     "print the keys that begin so, a line each"},
    {{"kv", "export"},
     0,
     1,
     ARGS_STALE | ARGS_CONSISTENT,
     cmd_kv_export,
     "[PREFIX] [--stale | --consistent]",
     "print the keys that begin so with their values, as a file for kv import"},
    {{"kv", "import"},
     0,
     1,
     0,
     cmd_kv_import,
     "[FILE | -]",
     "write the keys of such a file, checked whole before"},
    {{"kv", "watch"},
     0,
     1,
     0,
     cmd_kv_watch,
     "[PREFIX]",
     "print every change of keys that begin so, until interrupted"},
    {{"inspect", NULL},
     0,
     0,
     ARGS_DATA_DIR,
     cmd_inspect,
     "--data-dir DIR",
     "print the log, hard state and snapshots of a stopped node as JSON"},
    {{"leader", "transfer"},
     0,
     1,
     0,
     cmd_leader_transfer,
     "[NODE_ID]",
     "hand leadership to that voter, else to the one that is furthest"},
    {{"lock", NULL},
     1,
     ARGS_WORDS_MAX,
     ARGS_TTL | ARGS_FENCE_ENV,
     cmd_lock,
     "NAME [--ttl TIME] [--fence-env VARIABLE] -- COMMAND [ARGUMENT]...",
     "run the command while holding the lock; stop it when the lock is lost"},
    {{"member", "add"},
     2,
     2,
     ARGS_LEARNER | ARGS_TIMEOUT,
     cmd_member_add,
     "NODE_ID PEER_ADDR [--learner] [--timeout TIME]",
     "add it, show how it catches up, return when it votes"},
    {{"member", "list"},
     0,
     0,
     ARGS_STALE,
     cmd_member_list,
     "[--stale]",
     "print the members as the leader sees them"},
    {{"member", "promote"}, 1, 1, 0, cmd_member_promote, "NODE_ID", "give a learner its vote"},
    {{"member", "repair"},
     1,
     1,
     0,
     cmd_member_repair,
     "NODE_ID",
     "make a replica that differs anew"},
    {{"member", "remove"}, 1, 1, 0, cmd_member_remove, "NODE_ID", "remove it, the leader too"},
    {{"member", "replace"},
     3,
     3,
     ARGS_TIMEOUT,
     cmd_member_replace,
     "OLD NEW PEER_ADDR [--timeout TIME]",
     "put NEW in the place of OLD; return when it votes and OLD is out"},
    {{"recover", NULL},
     0,
     0,
     ARGS_DATA_DIR | ARGS_CLUSTER_ID,
     cmd_recover,
     "--data-dir DIR --cluster-id ID",
     "make a stopped node's directory a cluster of its own, when the quorum is gone for good"},
    {{"session", "destroy"}, 1, 1, 0, cmd_session_destroy, "ID", "end it; its keys are let go"},
    {{"session", "info"}, 1, 1, 0, cmd_session_info, "ID", "print one session"},
    {{"session", "list"}, 0, 0, 0, cmd_session_list, "", "print all sessions"},
    {{"snapshot", "inspect"},
     1,
     1,
     0,
     cmd_snapshot_inspect,
     "FILE",
     "check a backup and print what is in it; no node is asked"},
    {{"snapshot", "restore"},
     1,
     1,
     ARGS_TIMEOUT,
     cmd_snapshot_restore,
     "FILE [--timeout TIME]",
     "replace the whole state of the cluster by a backup"},
    {{"snapshot", "save"},
     1,
     1,
     ARGS_STALE | ARGS_CONSISTENT,
     cmd_snapshot_save,
     "FILE [--stale | --consistent]",
     "take a backup of the whole state, checked before it has its name"},
    {{"snapshot", "verify"},
     1,
     1,
     0,
     cmd_snapshot_verify,
     "FILE",
     "check a backup whole; no node is asked"},
    {{"stages", NULL}, 0, 0, 0, cmd_stages, "", "print where the time of a node's requests goes"},
    {{"status", NULL}, 0, 0, 0, cmd_status, "", "print the nodes of the cluster and how they are"},
    {{"txn", NULL},
     1,
     1,
     0,
     cmd_txn,
     "FILE | -",
     "do all operations of a file, or none; print what they answer"},
};

enum { COMMANDS_COUNT = sizeof(commands) / sizeof(commands[0]) };

static void help_print(FILE *file)
{
    fputs("usage: raftkv COMMAND [ARGUMENT]... [--addr URL] [--json]\n\n", file);
    for (uint32_t i = 0; i < COMMANDS_COUNT; i++) {
        const struct command *command = &commands[i];
        fprintf(file, "  raftkv %s%s%s%s%s\n      %s\n", command->words[0],
                command->words[1] != NULL ? " " : "",
                command->words[1] != NULL ? command->words[1] : "",
                *command->operands != '\0' ? " " : "", command->operands, command->help);
    }
    fprintf(
        file,
        "\n  --addr URL    the node to ask (default: RAFTKV_ADDR, else %s)\n"
        "  --json        print what the server answered, as JSON\n"
        "  --cas N       only if the key's modify index is N (0: only if there is none)\n"
        "  --flags N     a number stored beside the value\n"
        "  --stale       take any node's word, however old; --consistent: confirm with a\n"
        "                majority (the default is linearizable too)\n"
        "  --learner     add it without a vote, and return at once\n"
        "  --ttl TIME    how long a key lives that is put; how long a lock outlives a holder that\n"
        "                is gone, half of it (default 15s)\n"
        "  --limit N     at most so many keys; --start-after KEY: only those that follow it\n"
        "  --fence-env VARIABLE  where the command finds its fencing token (RAFTKV_FENCE)\n"
        "  --timeout TIME  how long to wait for its vote, as 30s or 5m (default 5m)\n"
        "  --data-dir DIR, --cluster-id ID  of a node that does not run; the id that it must have\n"
        "  --            what follows are words, also those that begin with a dash\n\n"
        "Exit status: 0 done, 1 the server said no, 2 usage.\n",
        default_addr);
}

static enum cli_exit usage(const struct cli *cli, const char *message, const char *word)
{
    struct rk_buf buf;

    rk_buf_init(&buf, 4096);
    const size_t size = strlen(word);
    output_append_safe(&buf, (struct rk_bytes){.data = (const uint8_t *)word,
                                               .size = size > 200 ? 200 : (uint32_t)size});
    fprintf(cli->err, "raftkv: %s%.*s; `raftkv --help` lists the commands\n", message,
            (int)buf.size, buf.data != NULL ? (const char *)buf.data : "");
    rk_buf_done(&buf);
    return CLI_USAGE;
}

static uint32_t words_used(const struct command *command)
{
    return command->words[1] != NULL ? 2 : 1;
}

static bool is_named(const struct command *command, const struct args *args)
{
    const uint32_t used = words_used(command);

    if (args->words_count < used) {
        return false;
    }
    for (uint32_t i = 0; i < used; i++) {
        if (strcmp(args->words[i], command->words[i]) != 0) {
            return false;
        }
    }
    return true;
}

static const struct command *command_find(const struct args *args)
{
    for (uint32_t i = 0; i < COMMANDS_COUNT; i++) {
        if (is_named(&commands[i], args)) {
            return &commands[i];
        }
    }
    return NULL;
}

/* Flags that exclude each other. */
static const uint32_t conflicts[] = {ARGS_STALE | ARGS_CONSISTENT, ARGS_CAS | ARGS_RECURSE};

static enum cli_exit command_check(const struct cli *cli, const struct command *command,
                                   const struct args *args)
{
    const uint32_t operands = args->words_count - words_used(command);
    const uint32_t foreign = args->given & ~command->flags;

    if (foreign != 0) {
        const uint32_t lowest = foreign & (~foreign + 1);
        return usage(cli, "this command does not take --", args_flag_name((enum args_flag)lowest));
    }
    for (size_t i = 0; i < sizeof(conflicts) / sizeof(conflicts[0]); i++) {
        if ((args->given & conflicts[i]) == conflicts[i]) {
            return usage(cli, "flags that exclude each other: ",
                         conflicts[i] & ARGS_CAS ? "--cas and --recurse"
                                                 : "--stale and --consistent");
        }
    }
    if (operands < command->operands_min || operands > command->operands_max) {
        return usage(cli, "usage: ", command->operands);
    }
    return CLI_DONE;
}

/* The word that is wrong: the second where the first begins the name of a command. */
static const char *word_unknown(const struct args *args)
{
    for (uint32_t i = 0; i < COMMANDS_COUNT && args->words_count > 1; i++) {
        if (commands[i].words[1] != NULL && strcmp(args->words[0], commands[i].words[0]) == 0) {
            return args->words[1];
        }
    }
    return args->words[0];
}

static enum cli_exit command_run(struct cli *cli, const char *addr, const struct args *args)
{
    const struct command *command = command_find(args);

    if (args->words_count == 0) {
        return usage(cli, "no command", "");
    }
    if (command == NULL) {
        return usage(cli, "unknown command: ", word_unknown(args));
    }
    const enum cli_exit checked = command_check(cli, command, args);
    if (checked != CLI_DONE) {
        return checked;
    }
    const char *chosen = args->addr != NULL ? args->addr : addr;
    if (chosen == NULL || *chosen == '\0') {
        chosen = default_addr;
    }
    if (client_base_parse(chosen, cli->base, sizeof(cli->base)) != RK_OK) {
        return usage(cli, "not an address (allowed: http://host:port): ", chosen);
    }
    return command->run(cli, args);
}

enum cli_exit cli_run(struct cli *cli, const char *addr, int argc, char **argv)
{
    struct args args;
    char message[256];
    enum cli_exit result = CLI_DONE;

    if (args_parse(argc, argv, &args, message, sizeof(message)) != RK_OK) {
        return usage(cli, message, "");
    }
    if (args.want_help) {
        help_print(cli->out);
    } else if (args.want_version) {
        fputs("raftkv " PACKAGE_VERSION "\n", cli->out);
    } else {
        result = command_run(cli, addr, &args);
    }
    /* What was not written was not done: a full disk behind `>` must be seen. */
    if ((fflush(cli->out) != 0 || ferror(cli->out) != 0) && result == CLI_DONE) {
        fputs("raftkv: cannot write the output\n", cli->err);
        result = CLI_REFUSED;
    }
    return result;
}

static const char *outcome_text(enum client_outcome outcome)
{
    switch (outcome) {
    case CLIENT_OUTCOME_NOT_DONE:
        return " (nothing was written)";
    case CLIENT_OUTCOME_UNKNOWN:
        return " (outcome unknown: it may have been written, look before trying again)";
    case CLIENT_OUTCOME_NONE:
        break;
    }
    return "";
}

enum cli_exit cli_refused(const struct cli *cli, const char *what,
                          const struct client_response *response)
{
    struct rk_buf buf;

    rk_buf_init(&buf, CLIENT_BODY_SIZE_MAX);
    if (response->status == 0) {
        rk_buf_append_text(&buf, response->error);
    } else {
        struct rk_bytes words = rk_buf_bytes(&response->body);
        words.size = words.size > 1000 ? 1000 : words.size;
        rk_buf_append_u64(&buf, response->status);
        rk_buf_append_byte(&buf, ' ');
        output_append_safe(&buf, words);
    }
    fprintf(cli->err, "raftkv: %s: %s: %.*s%s\n", what, cli->base, (int)buf.size,
            (const char *)buf.data, outcome_text(response->outcome));
    rk_buf_done(&buf);
    return CLI_REFUSED;
}
