# Completion for zsh. Load it in ~/.zshrc.

# Offers what the program $1 has for the text before the cursor.
_cargo_migrations_offer() {
    local text="${(j: :)words[1,CURRENT-1]} $PREFIX" answer word
    local -a closed open
    # Each is a word, or a word, a tab, and its help.
    for answer in "${(@f)$("$1" @COMPLETE@ "$text" 2>/dev/null </dev/null)}"; do
        word=${answer%%$'\t'*}
        if [[ $word == / ]]; then
            compset -P '--*='
            _files
            return
        fi
        answer=${word//:/\\:}${${answer#$word}/$'\t'/:}
        case $word in
            '') ;;
            *[:=,]) open+=("$answer") ;;
            *) closed+=("$answer") ;;
        esac
    done
    _describe -t words word closed -- open -S ''
}

_cargo_migrations_program() {
    _cargo_migrations_offer "${(Q)${words[1]/#\~\//$HOME/}}"
}

# Before compinit there is no compdef. It is tried again at the first prompt.
_cargo_migrations_attach() {
    (( $+functions[compdef] )) || return 0
    compdef _cargo_migrations_program $_cargo_migrations_programs
    if (( $+functions[_cargo_migrations_cargo] )) && [[ ${_comps[cargo]-} != _cargo_migrations_cargo ]]; then
        _cargo_migrations_others=${_comps[cargo]-}
        compdef _cargo_migrations_cargo cargo
    fi
}

_cargo_migrations_prompt() {
    add-zsh-hook -d precmd _cargo_migrations_prompt
    _cargo_migrations_attach
}

typeset -gaU _cargo_migrations_programs
_cargo_migrations_programs+=(@NAME@)
autoload -Uz add-zsh-hook
add-zsh-hook precmd _cargo_migrations_prompt
_cargo_migrations_attach
