# Completes `cargo migrations`. Everything else after `cargo` is completed as before.
_cargo_migrations_line='@LINE@'

_cargo_migrations_cargo() {
    local line=${COMP_LINE:0:COMP_POINT}
    if [[ $line =~ $_cargo_migrations_line ]]; then
        _cargo_migrations_offer @NAME@
    elif [[ ${_cargo_migrations_others-} ]]; then
        "$_cargo_migrations_others" "$@"
    else
        # bash-completion loads what cargo has at the first TAB, unless there is something, as there is now.
        complete -r cargo
        if declare -F _comp_load >/dev/null; then
            _comp_load cargo
        elif declare -F __load_completion >/dev/null; then
            __load_completion cargo
        fi >/dev/null 2>&1
        _cargo_migrations_attach
        # Bash starts again, with the options that cargo's completion has.
        if [[ ${_cargo_migrations_others-} ]]; then return 124; fi
    fi
}

# Takes the place of the function that completes `cargo`, which stays in use.
_cargo_migrations_attach() {
    local others spec
    spec=$(complete -p cargo 2>/dev/null)
    case $spec in
        *_cargo_migrations_cargo*) ;;
        '') complete -o bashdefault -o default -F _cargo_migrations_cargo cargo ;;
        *' -F '*)
            others=${spec#* -F }
            _cargo_migrations_others=${others%% *}
            eval "${spec/ -F $_cargo_migrations_others / -F _cargo_migrations_cargo }"
            ;;
    esac
}

# The first prompt is shown when all of ~/.bashrc was read: what it loads after this script may have replaced it.
_cargo_migrations_prompt() {
    local status=$?
    PROMPT_COMMAND=${PROMPT_COMMAND/_cargo_migrations_prompt;/}
    _cargo_migrations_attach
    return $status
}

_cargo_migrations_attach
if [[ $- == *i* && ${PROMPT_COMMAND-} != *_cargo_migrations_prompt* ]]; then
    PROMPT_COMMAND="_cargo_migrations_prompt;${PROMPT_COMMAND-}"
fi
