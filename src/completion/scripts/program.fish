# Completion for fish. Load it in config.fish.

# Offers what the program $argv[1] has for the text before the cursor.
function __cargo_migrations_offer
    set -l text (commandline -cp | string collect)
    set -l answers ($argv[1] @COMPLETE@ "$text" 2>/dev/null </dev/null)
    if test "$answers" = /
        # The path may be in the same word as its flag.
        set -l flag (string match -r -- '^--[^=]*=' (commandline -ct))
        set -l path (string replace -- "$flag" '' (commandline -ct))
        string replace -r -- '^' "$flag" (__fish_complete_path $path)
    else if set -q answers[1]
        printf '%s\n' $answers
    end
end

function __cargo_migrations_program
    set -l words (commandline -opc)
    __cargo_migrations_offer (string replace -r '^~/' "$HOME/" -- $words[1])
end

complete -c @NAME@ -f -a '(__cargo_migrations_program)'
