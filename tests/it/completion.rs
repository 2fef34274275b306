//! Shell completion: real shells on a pseudo-terminal, in which TAB is pressed, and the answers that their scripts get.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use regex::Regex;

use super::support::{Line, Outcome, Workspace, assert_has, plugin, pty_with};

/// Puts `show ` before the line at the end of which it is typed, and runs it: the shell then shows the words that it had.
const SHOW: &str = "\u{1}show \n";

/// A workspace whose manager has left its names, with three migrations and two dumps.
fn workspace() -> &'static Workspace {
    static WORKSPACE: OnceLock<Workspace> = OnceLock::new();
    WORKSPACE.get_or_init(|| {
        let workspace = Workspace::kept("it-completion");
        workspace.copy_fixture("completion");
        for name in ["0001_a.rs", "0002_b.rs", "0010_c.rs"] {
            workspace.tracing_migration(name);
        }
        for dump in ["2026-02-03_04_05_06_789", "before_release", "2026-02-03_05_05_06_789.partial"] {
            std::fs::create_dir_all(workspace.path("dumped").join(dump)).unwrap();
        }
        workspace.line(["help"]).run().exits(0);
        workspace
    })
}

/// What a script gets for this text before the cursor.
fn answer(folder: &Path, text: &str) -> Outcome {
    // Without a cargo that could be called.
    Line::new(plugin(), folder).args(["__complete", text]).env("PATH", "").env("CARGO", "/nowhere/cargo").run().exits(0)
}

/// The words of an answer, without their help.
fn offered(folder: &Path, tasks: &str) -> Vec<String> {
    let outcome = answer(folder, &format!("cargo migrations {tasks}"));
    assert_eq!(outcome.stderr, "");
    outcome.stdout.lines().map(|line| line.split('\t').next().unwrap().to_owned()).collect()
}

#[test]
fn names_come_from_the_last_run_and_from_folders() {
    let workspace = workspace();
    for folder in [workspace.root().to_owned(), workspace.path("xtask/src")] {
        assert_eq!(offered(&folder, "rei"), ["reindex", "reindex:"]);
        assert_eq!(
            offered(&folder, "rollback:00"),
            ["rollback:0001_a", "rollback:0002_b", "rollback:0010_c"].map(String::from)
        );
    }
    let root = workspace.root();
    assert_eq!(answer(root, "cargo migrations st").stdout, "staging\tThe staging cluster\n");
    assert_eq!(answer(root, "cargo migrations reind").stdout.lines().next(), Some("reindex\tRebuild the search index"));
    let dumps = ["restore:2026-02-03_04_05_06_789", "restore:before_release", "restore:latest"];
    let (options, values): (Vec<_>, Vec<_>) = offered(root, "restore:").into_iter().partition(|word| word.ends_with('='));
    assert_eq!(values, dumps);
    assert!(options.contains(&"restore:to=".to_owned()), "{options:?}");
    assert_eq!(offered(root, "--env "), ["staging"]);
    let tasks = offered(root, "");
    // What is built in comes from the declarations, and two subtasks from the plugin.
    for name in ["execute", "rollback:", "history", "dumps", "completions:", "help", "init", "new:"] {
        assert!(tasks.iter().any(|task| task == name), "{name}: {tasks:?}");
    }
    // A migration that was written since, and a line about another workspace.
    workspace.tracing_migration("0011_d.rs");
    assert_eq!(offered(root, "execute:001"), ["execute:0010_c", "execute:0011_d"]);
    std::fs::remove_file(workspace.path("mongomigrations/0011_d.rs")).unwrap();
    let manifest = format!("--manifest-path {} execute:00", workspace.path("Cargo.toml").display());
    assert_eq!(offered(Path::new("/"), &manifest).len(), 3);
}

#[test]
fn nothing_is_said_where_nothing_is_known() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    assert_eq!(offered(folder, "exe"), Vec::<String>::new());
    assert_eq!(offered(folder, "in"), ["init"]);
    assert_eq!(offered(folder, "--for"), ["--format"]);
    for text in ["", "cargo", "cargo build ", "'", "cargo migrations 'a b", "cargo migrations \u{1b}[31m:"] {
        assert_eq!(answer(folder, text).stderr, "", "{text}");
    }
    Line::new(plugin(), folder).args(["__complete"]).run().exits(2);
    // Broken manifests, and a workspace in which nothing was built yet.
    for manifest in ["[workspace", "[workspace]\nmembers = 7\n", "[package]\nname = \"x\"\n"] {
        std::fs::write(folder.join("Cargo.toml"), manifest).unwrap();
        assert_eq!(offered(folder, "exe"), Vec::<String>::new(), "{manifest}");
    }
    let unbuilt = Workspace::new();
    unbuilt.tracing_migration("0001_a.rs");
    assert_eq!(offered(unbuilt.root(), "ne"), ["new:"]);
    assert_eq!(offered(unbuilt.root(), "exe"), Vec::<String>::new());
}

#[test]
fn the_script_is_printed_for_each_shell() {
    let folder = tempfile::tempdir().unwrap();
    let run = |args: &[&str]| Line::new(plugin(), folder.path()).args(args).run();
    for shell in ["bash", "zsh", "fish"] {
        let script = run(&["migrations", &format!("completions:{shell}")]).exits(0).stdout;
        assert!(script.contains("__complete") && script.contains(shell), "{script}");
        // As rustup and others write it.
        assert_eq!(run(&["completions", shell]).exits(0).stdout, script);
        // The manager prints the same, if cargo runs it.
        let manager = Line::new(workspace().built_manager(), folder.path()).args(["completions", shell]);
        assert_eq!(manager.env("CARGO", "cargo").run().exits(0).stdout, script);
    }
    let outcome = run(&["completions"]).exits(2);
    assert_has(&outcome.stderr, &["error: completions needs a shell\nhint: write `cargo migrations completions:bash`, "]);
    for line in [&["completions:tcsh"][..], &["completions", "tcsh"]] {
        assert_has(
            &run(line).exits(2).stderr,
            &["`tcsh` is not a valid value for completions", "`completions:bash|zsh|fish`"],
        );
    }
    run(&["completions:bash,zsh"]).exits(2);
}

/// A home folder for a shell, with its files.
struct Home {
    folder: tempfile::TempDir,
    shell: PathBuf,
}

impl Home {
    /// `None`, after a line that says so, if that shell is not installed.
    fn of(shell: &str, startup: &str) -> Option<Self> {
        let path = std::env::var_os("PATH").unwrap();
        let Some(found) = std::env::split_paths(&path).map(|folder| folder.join(shell)).find(|path| path.is_file()) else {
            use std::io::Write as _;
            let _ = writeln!(std::io::stderr().lock(), "skipped: no {shell} is installed (Debian: {shell})");
            return None;
        };
        let folder = tempfile::tempdir().unwrap();
        let (name, prompt) = match shell {
            "bash" => (".bashrc", "PS1='ready> '\nshow() { printf shown:; printf '<%s>' \"$@\"; echo; }\n"),
            "zsh" => (".zshrc", "PS1='ready> '\nshow() { printf shown:; printf '<%s>' \"$@\"; echo; }\n"),
            _ => (
                ".config/fish/config.fish",
                "function fish_prompt; echo 'ready> '; end\nfunction show; printf shown:; printf '<%s>' $argv; echo; end\n",
            ),
        };
        let home = Self { folder, shell: found };
        home.write(name, &format!("{prompt}{startup}\n"));
        Some(home)
    }

    fn write(&self, name: &str, text: &str) {
        let path = self.folder.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    /// Types each text, and TABs in it, into the shell. Returns the line that it became, and all that was shown.
    fn typed<const N: usize>(&self, folder: &Path, texts: [&str; N]) -> ([String; N], String) {
        let lines = texts.map(|text| format!("{text}{SHOW}"));
        // Each line is typed when the one before it was shown.
        let mut answers: Vec<(&str, &str)> = vec![("ready> ", &lines[0])];
        answers.extend(lines[1..].iter().map(|line| (">\r\n", line.as_str())));
        answers.push((">\r\n", "exit\n"));
        let path = std::env::var("PATH").unwrap();
        let path = format!("{}:{path}", plugin().parent().unwrap().display());
        let home = self.folder.path().to_str().unwrap();
        let variables =
            [("HOME", home), ("ZDOTDIR", home), ("XDG_CONFIG_HOME", ""), ("XDG_DATA_HOME", ""), ("PATH", &*path)];
        let (screen, code) = pty_with(&self.shell, folder, &["-i"], &variables, &answers);
        let shown = Regex::new("shown:((?:<[^<>]*>)+)").unwrap();
        let shown = shown.captures_iter(&screen).map(|found| found[1].replace("><", " ").replace(['<', '>'], ""));
        let shown: Vec<String> = shown.collect();
        let shown = shown.try_into().unwrap_or_else(|shown| panic!("{code}: {shown:?} in {screen}"));
        (shown, screen)
    }
}

/// How each shell loads the script, with nothing before it.
const STARTUPS: [(&str, &str); 3] = [
    ("bash", "eval \"$(cargo-migrations completions:bash)\""),
    ("zsh", "autoload -U compinit; compinit -u\neval \"$(cargo-migrations completions:zsh)\""),
    ("fish", "cargo-migrations completions:fish | source"),
];

fn each_shell_completes(shell: &str) {
    let (_, startup) = STARTUPS.iter().find(|(name, _)| *name == shell).unwrap();
    let Some(home) = Home::of(shell, startup) else { return };
    let (lines, _) = home.typed(
        workspace().root(),
        [
            "cargo migrations exe\t:001\t",
            "cargo +stable -q migrations staging roll\t0002\t",
            "cargo migrations restore:bef\t,t\t",
            "cargo migrations --for\t j\t",
            "cargo migrations execute --str\t",
            "cargo migrations help:reind\t",
            "cargo migrations st\texe\t",
            "cargo migrations 'hist\t:0002\t",
            "cargo migrations --manifest-path Cargo.t\t",
            "cargo migrations --manifest-path=Cargo.t\t",
            "cargo migrations qqq\t",
        ],
    );
    assert_eq!(
        lines,
        [
            "cargo migrations execute:0010_c",
            "cargo +stable -q migrations staging rollback:0002_b",
            "cargo migrations restore:before_release,to=",
            "cargo migrations --format json",
            "cargo migrations execute --strict",
            "cargo migrations help:reindex",
            "cargo migrations staging execute",
            "cargo migrations history:0002_b",
            "cargo migrations --manifest-path Cargo.toml",
            "cargo migrations --manifest-path=Cargo.toml",
            "cargo migrations qqq",
        ]
    );
    let escape_sequences = Regex::new("\u{1b}(?:\\[[0-9;?]*[a-zA-Z]|\\(B)").unwrap();
    // Several names: they are listed, and what they have in common is written.
    let (lines, screen) = home.typed(workspace().root(), ["cargo migrations execute:00\t\t"]);
    // Fish shortens what they have in common.
    assert_has(&escape_sequences.replace_all(&screen, ""), &["01_a", "02_b", "10_c"]);
    assert!(lines[0].starts_with("cargo migrations execute:00"), "{lines:?}");
}

#[test]
fn bash_completes() {
    each_shell_completes("bash");
}

#[test]
fn zsh_completes() {
    each_shell_completes("zsh");
}

#[test]
fn fish_completes() {
    each_shell_completes("fish");
}

#[test]
fn the_line_stays_as_it_is_outside_a_workspace_and_with_a_broken_manifest() {
    let folder = tempfile::tempdir().unwrap();
    let broken = tempfile::tempdir().unwrap();
    std::fs::write(broken.path().join("Cargo.toml"), "[workspace").unwrap();
    for (shell, startup) in STARTUPS {
        let Some(home) = Home::of(shell, startup) else { continue };
        for folder in [folder.path(), broken.path()] {
            let (lines, screen) =
                home.typed(folder, ["cargo migrations exe\t", "cargo migrations execute:0\t", "cargo migrations --for\t"]);
            assert_eq!(
                lines,
                ["cargo migrations exe", "cargo migrations execute:0", "cargo migrations --format"],
                "{shell}"
            );
            for word in ["error", "TOML", "No such", "not found"] {
                assert!(!screen.contains(word), "{shell}: {screen}");
            }
        }
    }
}

/// The folder in which the toolchain has the completion of cargo itself.
fn toolchain() -> PathBuf {
    let outcome = Line::new("rustc", Path::new("/")).args(["--print", "sysroot"]).run().exits(0);
    PathBuf::from(outcome.stdout.trim())
}

/// Whatever order the files are loaded in, `cargo` itself is completed as without the script.
#[test]
fn what_cargo_completes_stays_the_same() {
    const CARGOS: [&str; 3] = ["cargo bu\t", "cargo build --rele\t", "cargo Car\t"];
    const OURS: [&str; 2] = ["cargo migrations hist\t:0002\t", "cargo migrations st\t"];
    let [(_, bash), (_, zsh), (_, fish)] = STARTUPS;
    let (_, zsh) = zsh.split_once('\n').unwrap();
    let toolchain = toolchain();
    let cargos = format!(". {}", toolchain.join("etc/bash_completion.d/cargo").display());
    let library = "[ ! -f /usr/share/bash-completion/bash_completion ] || . /usr/share/bash-completion/bash_completion";
    let lazily = format!("{library}\nBASH_COMPLETION_USER_DIR=$HOME");
    let compinit = "autoload -U compinit; compinit -u";
    let zsh_cargos = format!("fpath=({} $fpath)\n{compinit}", toolchain.join("share/zsh/site-functions").display());
    // Without the script, and with it before and after what loads cargo's completion, which there may be none of.
    let cases: [(&str, bool, Vec<String>); 6] = [
        (
            "bash",
            true,
            vec![
                format!("{library}\n{cargos}"),
                format!("{library}\n{cargos}\n{bash}"),
                format!("{bash}\n{library}\n{cargos}"),
            ],
        ),
        ("bash", true, vec![lazily.clone(), format!("{lazily}\n{bash}"), format!("{bash}\n{lazily}")]),
        ("bash", false, vec![String::new(), bash.to_owned()]),
        ("zsh", true, vec![zsh_cargos.clone(), format!("{zsh_cargos}\n{zsh}"), format!("{zsh}\n{zsh_cargos}")]),
        ("zsh", false, vec![compinit.to_owned(), format!("{compinit}\n{zsh}")]),
        ("fish", true, vec![String::new(), fish.to_owned()]),
    ];
    for (shell, has_cargos, startups) in cases {
        let mut without = None;
        for startup in &startups {
            let Some(home) = Home::of(shell, startup) else { continue };
            home.write("completions/cargo", &cargos);
            let ([bu, rele, car, history, staging], screen) =
                home.typed(workspace().root(), [CARGOS[0], CARGOS[1], CARGOS[2], OURS[0], OURS[1]]);
            let lines = [bu, rele, car];
            match &without {
                None => {
                    // Or else nothing is compared. Cargo's completion for bash needs bash-completion.
                    let is_there = shell != "bash" || Path::new("/usr/share/bash-completion/bash_completion").exists();
                    assert_eq!(lines[0] == "cargo build", has_cargos && is_there, "{shell}: {startup}: {screen}");
                    without = Some(lines);
                }
                Some(without) => {
                    assert_eq!(&lines, without, "{shell}: {startup}");
                    assert_eq!([&*history, &*staging], ["cargo migrations history:0002_b", "cargo migrations staging"]);
                }
            }
        }
    }
}

#[test]
fn a_deployed_manager_completes_under_its_own_name() {
    let workspace = workspace();
    let manager = workspace.built_manager();
    let folder = manager.parent().unwrap();
    for shell in ["bash", "zsh", "fish"] {
        let startup = STARTUPS.iter().find(|(name, _)| *name == shell).unwrap().1;
        let startup = startup.replace("cargo-migrations", "./manager");
        let Some(home) = Home::of(shell, &startup) else { continue };
        let (lines, screen) = home.typed(folder, ["./manager exe\t:001\t", "./manager restore:bef\t", "./manager in\t"]);
        assert_eq!(lines, ["./manager execute:0010_c", "./manager restore:before_release", "./manager in"], "{shell}");
        assert!(!screen.contains("error"), "{screen}");
    }
    let outcome = Line::new(&manager, folder).args(["__complete", "./manager st"]).run().exits(0);
    assert_eq!((&*outcome.stdout, &*outcome.stderr), ("staging\tThe staging cluster\n", ""));
}
