# Completes `cargo migrations`. Everything else after `cargo` is completed as before.
typeset -g _cargo_migrations_line='@LINE@'
typeset -g _cargo_migrations_others=${_cargo_migrations_others-}

_cargo_migrations_cargo() {
    local line="${(j: :)words[1,CURRENT-1]} $PREFIX"
    if [[ $line =~ $_cargo_migrations_line ]]; then
        _cargo_migrations_offer @NAME@
    elif [[ -n $_cargo_migrations_others ]]; then
        eval "$_cargo_migrations_others"
    else
        _default
    fi
}

# Cargo's own completion calls this for the subcommand of that name.
_cargo-migrations() {
    _cargo_migrations_offer @NAME@
}

_cargo_migrations_attach
