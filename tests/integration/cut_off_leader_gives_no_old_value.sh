#!/bin/bash
# A leader that no longer reaches the others, nor they it, while its clients still do: it steps down
# within two election timeouts, gives no old value, acknowledges no write, and follows when the cut
# heals. Also when only its packets vanish and the others' arrive (correctness 3.1: a neighbour
# entry that leads nowhere). Each node has a network namespace of its own; needs root.
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$0")/lib.sh"

[ "$(id -u)" -eq 0 ] || skip "network namespaces need root"
command -v ip >/dev/null || skip "needs ip (iproute2)"
tag=rk$((BASHPID % 100000))
net=10.$((BASHPID / 250 % 250 + 1)).$((BASHPID % 250 + 1))

# shellcheck disable=SC2317 # at_end calls it
test_end() {
    local i
    for i in 1 2 3; do
        ip netns del "$tag-$i" 2>/dev/null
    done
    ip link del "$tag-b" 2>/dev/null
}

ip netns add "$tag-1" 2>/dev/null || skip "no network namespaces here"
ip link add "$tag-b" type bridge 2>/dev/null || skip "no bridges here"
ip addr add "$net.254/24" dev "$tag-b"
ip link set "$tag-b" up
cluster_new 3
INITIAL=
for i in 1 2 3; do
    [ $i = 1 ] || ip netns add "$tag-$i"
    ip link add "$tag-$i" type veth peer name eth0 netns "$tag-$i" || fail "no veth"
    ip link set "$tag-$i" master "$tag-b" up
    ip -n "$tag-$i" addr add "$net.$i/24" dev eth0
    ip -n "$tag-$i" link set eth0 up
    ip -n "$tag-$i" link set lo up
    CLIENT[$i]=$net.$i:8500
    PEER[$i]=$net.$i:8300
    INITIAL+=${INITIAL:+,}n$i=${PEER[$i]}
    WRAP[$i]="ip netns exec $tag-$i"
done

# mute FROM TO: what FROM sends to TO vanishes.
mute() {
    ip -n "$tag-$1" neigh replace "$net.$2" lladdr 02:00:00:00:de:ad nud permanent dev eth0
}

heal() {
    local a b
    for a in 1 2 3; do
        for b in 1 2 3; do
            [ $a = $b ] || ip -n "$tag-$a" neigh del "$net.$b" dev eth0 2>/dev/null
        done
    done
}

# shellcheck disable=SC2317 # wait_for calls it
another_leads() {
    local i
    for i in 1 2 3; do
        [ "$i" = "$old" ] && continue
        [ "$(node_field "$i" '.role + " " + (.ready | tostring)')" = "leader true" ] &&
            LEADER=$i && return 0
    done
    return 1
}

# shellcheck disable=SC2317 # wait_for calls it
old_follows() {
    [ "$(node_field "$old" .role)" != leader ]
}

cluster_start
for cut in both-ways one-way; do
    cluster_wait
    old=$LEADER
    put "$old" register "old-$cut"
    for i in 1 2 3; do
        [ "$i" = "$old" ] && continue
        mute "$old" "$i"
        [ $cut = one-way ] || mute "$i" "$old"
    done
    cut_at=$(now_ms)
    wait_for 10 "another leader" another_leads
    led_ms=$(($(now_ms) - cut_at))
    put "$LEADER" register "new-$cut"
    for ((i = 0; i < 3; i++)); do
        http GET "$(url "$old")/v1/kv/register?raw"
        [ "$STATUS" = 200 ] && [ "$BODY" != "new-$cut" ] && fail "$cut: the old leader answered '$BODY'"
    done
    [ "$STATUS" = 500 ] || fail "$cut: a read at the cut off node: $STATUS $BODY"
    wait_for 5 "the old leader steps down" old_follows
    http PUT "$(url "$old")/v1/kv/lost" -d no
    [ "$STATUS" = 500 ] || fail "$cut: a write at the cut off node: $STATUS $BODY"
    [ "$(header X-Raftkv-Outcome)" = not-done ] || fail "$cut: outcome: $HEADERS"
    http GET "$(url "$old")/readyz"
    expect_status 503
    term=$(node_field "$LEADER" .term)
    heal
    wait_for 10 "the old leader serves again" get_is "$old" register "new-$cut"
    # PreVote (diss. 9.6): the one that was cut off did not depose the new leader.
    [ "$(node_field "$LEADER" .term)" = "$term" ] ||
        note "$cut: the term moved on from $term when the cut healed"
    note "$cut: another led $led_ms ms after the cut"
done
finish
