# shellcheck shell=bash
# Finds a server to test on, or starts one. Sourced by dev/test.
#
# Sets EMR_POSTGRES_URL, EMR_MARIADB_URL and EMR_MYSQL_URL. What was started here is stopped by stop_servers; what was found is left alone.

STARTED_CLUSTER=   # the directory of a cluster of ours
STARTED_SERVERS=() # the directories of MariaDB and MySQL of ours
STARTED_COMPOSE=   # set when compose runs servers of ours
CLUSTER_BIN=       # where the cluster's programs are

# find_or_start BACKEND: looks for a server, or starts one, and tells its address in EMR_<BACKEND>_URL.
find_or_start() {
    local backend=$1 source from="${1^^}_FROM"
    WHY_NOT=
    for source in ${EMR_SERVERS_FROM:-environment local compose packages}; do
        case "$source" in
            environment | local) ;;
            # A container costs a machine that runs them nothing.
            compose) is_required "$backend" || is_welcome "$backend" || continue ;;
            # A backend that may be missing is not worth installing a server for.
            *) is_required "$backend" || continue ;;
        esac
        if "from_$source" "$backend"; then
            echo "$backend: ${!from}"
            export "EMR_${backend^^}_URL"
            # What was found is tested, whether or not it had to be.
            is_required "$backend" || EMR_REQUIRE=${EMR_REQUIRE:+$EMR_REQUIRE,}$backend
            return
        fi
    done
    backend_is "$backend" "not run ($WHY_NOT)"
    is_required "$backend" || return 0
    echo "$backend: no server: $WHY_NOT" >&2
    # This stage failed, and so will the whole run; the other backends can still be tested.
    EMR_REQUIRE=$(tr ',' '\n' <<<"$EMR_REQUIRE" | grep -vx "$backend" | paste -sd ,)
    return 1
}

# no REASON: a source has no server to offer.
WHY_NOT=
no() {
    WHY_NOT+="${WHY_NOT:+; }$1"
    return 1
}

is_required() {
    case ",${EMR_REQUIRE:-}," in *",$1,"*) ;; *) return 1 ;; esac
}

# Backends that are tested where they can be had: no Debian has a package of MySQL.
WELCOME=${WELCOME:-}
is_welcome() {
    case " $WELCOME " in *" $1 "*) ;; *) return 1 ;; esac
}

# found BACKEND PORT HOW: there is a server on this machine that lets everybody in.
found() {
    local url="$1://root@127.0.0.1:$2/mysql"
    [ "$1" != postgres ] || url=postgres://postgres@127.0.0.1:$2/postgres
    declare -g "EMR_${1^^}_URL=$url" "${1^^}_FROM=$3"
}

from_environment() {
    local url="EMR_${1^^}_URL"
    [ -n "${!url:-}" ] || no "$url is not set" || return
    declare -g "${1^^}_FROM=from $url"
}

from_local() {
    if [ "$1" = postgres ]; then
        postgres_from_local
        return
    fi
    local port=3306
    [ "$1" = mariadb ] || port=3307
    "answers_as_$1" 127.0.0.1 "$port" || no "no $1 answers at 127.0.0.1:$port" || return
    found "$1" "$port" "found at 127.0.0.1:$port"
}

from_compose() {
    docker info >/dev/null 2>&1 || no "no Docker engine runs" || return
    docker compose version >/dev/null 2>&1 || no "Docker has no Compose" || return
    local port
    port=$(free_port) || no "no port is free" || return
    STARTED_COMPOSE=yes
    env "EMR_${1^^}_PORT=$port" docker compose --project-name "emr-test-$$" up --detach --wait "$1" ||
        no "Docker Compose did not bring it up" || return
    found "$1" "$port" "started by Docker Compose on port $port"
}

from_packages() {
    if [ "$1" = postgres ]; then
        postgres_from_packages
        return
    fi
    if ! has_programs "$1"; then
        can_install_packages || no "no programs of $1, and no root with apt-get to install them" || return
        # Of MySQL, Debian has one in unstable alone; Ubuntu has it.
        install_packages "$1-server"
        has_programs "$1" || no "the package $1-server could not be installed" || return
    fi
    local port directory program
    port=$(free_port) || no "no port is free" || return
    directory=$(mktemp -d) || return
    STARTED_SERVERS+=("$directory")
    start_server "$1" "$directory" "$port" >"$directory/start.log" 2>&1
    local try
    for try in {1..300}; do
        ! "answers_as_$1" 127.0.0.1 "$port" || break
        sleep 0.1
    done
    if ((try == 300)); then
        cat "$directory/start.log" >&2
        no "a server of our own did not start, see its log above" || return
    fi
    program=$(server_program "$1")
    found "$1" "$port" "a server of our own on port $port, $("$program" --version)"
}

postgres_from_local() {
    case "$(postgres_answer 127.0.0.1 5432)" in
        trust) EMR_POSTGRES_URL=postgres://postgres@127.0.0.1:5432/postgres ;;
        password)
            [ -n "${PGPASSWORD:-}" ] || no "127.0.0.1:5432 wants a password and PGPASSWORD is not set" || return
            EMR_POSTGRES_URL=postgres://postgres:$(percent_encoded "$PGPASSWORD")@127.0.0.1:5432/postgres
            ;;
        refused) no "127.0.0.1:5432 does not let role postgres in" || return ;;
        *) no "no PostgreSQL answers at 127.0.0.1:5432" || return ;;
    esac
    POSTGRES_FROM="found at 127.0.0.1:5432"
}

postgres_from_packages() {
    if ! CLUSTER_BIN=$(postgres_programs); then
        can_install_packages || no "no PostgreSQL programs, and no root with apt-get to install them" || return
        install_packages postgresql
        CLUSTER_BIN=$(postgres_programs) || no "the package postgresql could not be installed" || return
    fi
    local port
    port=$(free_port) || no "no port is free" || return
    STARTED_CLUSTER=$(mktemp -d) || return
    ! is_root || chown postgres "$STARTED_CLUSTER" || return
    start_cluster "$STARTED_CLUSTER" "$port" >"$STARTED_CLUSTER/start.log" 2>&1
    if [ "$(postgres_answer 127.0.0.1 "$port")" != trust ]; then
        cat "$STARTED_CLUSTER"/*.log >&2
        no "a cluster of our own did not start, see its log above" || return
    fi
    found postgres "$port" "a cluster of our own on port $port, $("$CLUSTER_BIN/postgres" --version)"
}

# start_cluster DIRECTORY PORT
start_cluster() {
    as_postgres "$CLUSTER_BIN/initdb" --pgdata="$1/data" --username=postgres --auth=trust \
        --encoding=UTF8 --locale=C.UTF-8 --no-sync || return
    # What is in it is thrown away, so it need not survive a crash.
    local options="-p $2 -k $1 -c listen_addresses=127.0.0.1 -c max_connections=200"
    options+=" -c fsync=off -c synchronous_commit=off -c full_page_writes=off"
    as_postgres "$CLUSTER_BIN/pg_ctl" start --wait --silent --pgdata="$1/data" --log="$1/server.log" --options="$options"
}

server_program() {
    [ "$1" = mysql ] && echo mysqld || echo mariadbd
}

# Whether there are programs of MariaDB or of MySQL to start a server with.
has_programs() {
    case "$1" in
        mariadb) command -v mariadbd >/dev/null && command -v mariadb-install-db >/dev/null ;;
        # MariaDB brings a program of this name.
        mysql) command -v mysqld >/dev/null && ! mysqld --version 2>/dev/null | grep -qi mariadb ;;
    esac
}

# For tests that start servers of MariaDB themselves, wherever the one server comes from. Without programs they say so.
provide_mariadb_programs() {
    case " ${EMR_SERVERS_FROM:-packages} " in *" packages "*) ;; *) return 0 ;; esac
    if is_required mariadb && [ -z "${EMR_MARIADB_BIN:-}" ] && ! has_programs mariadb && can_install_packages; then
        # The programs alone: no service of theirs is started.
        install_packages mariadb-server-core
    fi
}

# start_server BACKEND DIRECTORY PORT
start_server() {
    local user=() own=() program
    program=$(server_program "$1")
    ! is_root || user=(--user=mysql)
    ! is_root || chown mysql "$2" || return
    case "$1" in
        mariadb)
            mariadb-install-db --no-defaults "${user[@]}" --datadir="$2/data" \
                --auth-root-authentication-method=normal --skip-test-db || return
            ;;
        mysql)
            "$program" --no-defaults "${user[@]}" --datadir="$2/data" --initialize-insecure || return
            own=(--mysqlx=OFF)
            ;;
    esac
    # What is in it is thrown away, so it need not survive a crash.
    "$program" --no-defaults "${user[@]}" --datadir="$2/data" --socket="$2/socket" --pid-file="$2/pid" --port="$3" \
        --bind-address=127.0.0.1 --max-connections=300 --innodb-flush-log-at-trx-commit=0 --skip-log-bin "${own[@]}" &
    disown
}

# Whether the first message of a server names MariaDB.
answers_as_mariadb() {
    first_message "$1" "$2" | grep -qai mariadb
}

# Whether it is the first message of a MySQL: a protocol of version 10 behind the length, and no word of MariaDB.
answers_as_mysql() {
    local message
    message=$(first_message "$1" "$2" | od -An -v -tx1 -w60 | tr -d ' \n')
    [ "${message:8:2}" = 0a ] && ! answers_as_mariadb "$1" "$2"
}

first_message() {
    # shellcheck disable=SC2016 # the inner shell expands them
    timeout 5 bash -c 'exec 3<>"/dev/tcp/$0/$1" || exit; head -c 60 <&3' "$1" "$2" 2>/dev/null
}

stop_servers() {
    local directory
    for directory in "${STARTED_SERVERS[@]}"; do
        [ ! -f "$directory/pid" ] || kill "$(cat "$directory/pid")" 2>/dev/null
        rm -rf "$directory"
    done
    if [ -n "$STARTED_CLUSTER" ]; then
        [ ! -f "$STARTED_CLUSTER/data/postmaster.pid" ] ||
            as_postgres "$CLUSTER_BIN/pg_ctl" stop --silent --mode=immediate --pgdata="$STARTED_CLUSTER/data"
        rm -rf "$STARTED_CLUSTER"
    fi
    [ -z "$STARTED_COMPOSE" ] || docker compose --project-name "emr-test-$$" down --volumes
}

# PostgreSQL refuses to run as root.
as_postgres() {
    # From a directory that every user may enter, else its programs complain about ours.
    if is_root; then
        (cd / && runuser -u postgres -- "$@")
    else
        "$@"
    fi
}

# The newest version's directory of programs. Debian does not put it into the PATH.
postgres_programs() {
    local newest
    newest=$(printf '%s\n' /usr/lib/postgresql/*/bin/initdb | sort -V | tail -n 1)
    [ -x "$newest" ] || newest=$(command -v initdb) || return
    # Ours must run as an unprivileged user, which root needs to have.
    ! is_root || id postgres >/dev/null 2>&1 || return
    dirname "$newest"
}

free_port() {
    local try port
    for try in {1..50}; do
        # Below the ports that Linux gives to outgoing connections, so that none of those takes it meanwhile.
        port=$((20000 + (RANDOM + try) % 12000))
        if ! (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; then
            echo "$port"
            return
        fi
    done
    return 1
}

# What a server answers to role postgres without a password: trust, password, refused, or nothing at all.
# It speaks the first message of the protocol itself, as a machine with a server need not have psql.
postgres_answer() {
    local host=$1 port=$2 answer
    # Length 41, protocol 3.0, user, database, and the empty name that ends the list.
    # shellcheck disable=SC2016 # the inner shell expands them
    answer=$(timeout 5 bash -c '
        exec 3<>"/dev/tcp/$0/$1" || exit
        printf "\0\0\0\051\0\003\0\0user\0postgres\0database\0postgres\0\0" >&3
        head -c 9 <&3 | od -An -v -tx1 | tr -d " \n"' "$host" "$port" 2>/dev/null)
    case "$answer" in
        52*00000000) echo trust ;; # R, length 8, 0: authentication succeeded
        52*) echo password ;;
        45*) echo refused ;; # E: no such role or database, no rule for this host, no connection left
        *) echo nothing ;;
    esac
}

percent_encoded() {
    local text=$1 at character
    local LC_ALL=C # bytes, not characters
    for ((at = 0; at < ${#text}; at++)); do
        character=${text:at:1}
        case "$character" in
            [a-zA-Z0-9._~-]) printf '%s' "$character" ;;
            *) printf '%s' "$character" | od -An -v -tx1 | tr -d '\n' | tr ' a-f' '%A-F' ;;
        esac
    done
}
