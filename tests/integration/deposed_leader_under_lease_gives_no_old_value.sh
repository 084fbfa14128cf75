#!/bin/bash
# The same with default-read = lease: what a leader looks at after it has slept is the clock that went
# on meanwhile (diss. 6.4.1; pitfall 107).
# shellcheck source-path=SCRIPTDIR source=deposed_leader_gives_no_old_value.sh
DEPOSED_FLAGS=(--default-read lease)
. "$(dirname "$0")/deposed_leader_gives_no_old_value.sh"
