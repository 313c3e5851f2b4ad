# shellcheck shell=bash
# Runs stages, and says at the end what each came to. Sourced by dev/test.

STAGE_LINES=()
FAILED_STAGES=()
ACCEPTANCE_LINES=()
declare -A BACKENDS=()

run_stage() {
    local stage=$1 start=$SECONDS status=0
    printf '\n=== %s\n' "$stage"
    "stage_$stage" || status=$?
    local seconds=$((SECONDS - start))
    if [ "$status" -eq 0 ]; then
        STAGE_LINES+=("$(printf 'stage=%-8s ok      %4d s' "$stage" "$seconds")")
    else
        STAGE_LINES+=("$(printf 'stage=%-8s FAILED  %4d s' "$stage" "$seconds")")
        FAILED_STAGES+=("$stage")
    fi
    return "$status"
}

# backend_is NAME "ran|not run (reason)"
backend_is() {
    BACKENDS[$1]=$2
}

# After tests that passed: they fail if they do not reach a backend that EMR_REQUIRE names.
required_backends_ran() {
    local backend
    for backend in ${EMR_REQUIRE//,/ }; do
        backend_is "$backend" ran
    done
}

report() {
    local backend not_run="not run (no stage that tests it was asked for)"
    case " ${FAILED_STAGES[*]-} " in
        *" tests "*) not_run="not run to the end (stage tests failed)" ;;
    esac
    printf '\n=== summary\n'
    printf '%s\n' "${STAGE_LINES[@]}"
    for backend in sqlite postgres mariadb mysql; do
        echo "backend=$backend ${BACKENDS[$backend]:-$not_run}"
    done
    [ ${#ACCEPTANCE_LINES[@]} -eq 0 ] || printf '%s\n' "${ACCEPTANCE_LINES[@]}"
    if [ ${#FAILED_STAGES[@]} -gt 0 ]; then
        echo "dev/test: FAILED: ${FAILED_STAGES[*]} (after $SECONDS s)"
        return 1
    fi
    echo "dev/test: all ${#STAGE_LINES[@]} stages passed (in $SECONDS s)"
}
