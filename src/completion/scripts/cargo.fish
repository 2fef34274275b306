# Completes `cargo migrations`. Everything else after `cargo` is completed as before.
function __cargo_migrations_is_current
    string match -qr '@LINE@' -- (commandline -cp | string collect)
end

# Fish adds this to what it has for cargo, so after a task with the name of a cargo command (`check`) it offers that one's flags too.
complete -c cargo -n __cargo_migrations_is_current -f -a '(__cargo_migrations_offer @NAME@)'
