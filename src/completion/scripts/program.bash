# Completion for bash. Load it in ~/.bashrc.

# Offers what the program $1 has for the text before the cursor.
_cargo_migrations_offer() {
    local line=${COMP_LINE:0:COMP_POINT} IFS=$'\n' answer globs= replaced
    COMPREPLY=()
    compopt +o default +o bashdefault 2>/dev/null
    # Not with `read`, which takes a thousand names from a pipe byte by byte.
    answer=$("$1" @COMPLETE@ "$line" 2>/dev/null </dev/null)
    if [[ $answer == / ]]; then
        compopt -o default 2>/dev/null
        return
    fi
    if [[ $- != *f* ]]; then globs=on; set -f; fi
    COMPREPLY=($answer)
    if [[ $globs ]]; then set +f; fi
    # A word, a tab, and its help. Bash replaces only what follows the last word break, such as `:` and `=`.
    COMPREPLY=("${COMPREPLY[@]%%$'\t'*}")
    replaced=${line##*[[:space:]]}
    while [[ $replaced && $COMP_WORDBREAKS != *"${replaced: -1}"* ]]; do replaced=${replaced%?}; done
    COMPREPLY=("${COMPREPLY[@]#"$replaced"}")
    if [[ ${#COMPREPLY[@]} == 1 && ${COMPREPLY[0]} == *[:=,] ]]; then
        compopt -o nospace 2>/dev/null
    fi
}

_cargo_migrations_program() {
    _cargo_migrations_offer "${1/#\~\//$HOME/}"
}

complete -F _cargo_migrations_program -- @NAME@
