//! When a file counts as edited after it ran: if its code is another, and not if it is only formatted.

use std::process::Command;

use cargo_migrations::mongodb::bson::doc;

use super::support::{TestDatabase, Workspace, assert_has, block_on};

const UNFORMATTED: &str = r#"//! Give every note a slug.
#![allow(dead_code)]
use std::time::{Instant,Duration};
use std::collections::{HashMap};
use cargo_migrations::prelude::*;
#[derive(Debug)] #[derive(Clone)]
struct Kind<T,> where T: Clone, { of: T, since: Option<Duration>, }
pub async fn up(db: &Database,) -> Result<()> {
    let began = Instant::now();;
    let kinds: HashMap<&str, (u8,)> = HashMap::from([("a", (1,),), ("b", (2,))],);
    let of = |name: &str| { kinds.get(name).map(|kind| { kind.0 }) };
    let kind = match of("a",) { | Some(1) | Some(2) => { "known" } Some(_) => if began.elapsed().is_zero() { "now" } else { "other" }, None => { return Ok(()) } };
    db.collection::<Document>("notes",).update_many(doc! { "kind": kind, }, doc! { "$set": { "slug": "a", }, },).await?;
    return Ok(())
}
"#;

fn rustfmt(workspace: &Workspace, config: &str) {
    let path = workspace.path("mongomigrations/0001_a.rs");
    assert!(Command::new("rustfmt").args(["--edition", "2024", "--config", config]).arg(path).status().unwrap().success());
}

#[test]
fn a_file_that_rustfmt_formats_after_it_ran_is_not_an_edited_one() {
    let workspace = Workspace::new();
    let database = TestDatabase::new();
    workspace.migration("0001_a.rs", UNFORMATTED);
    workspace.run("execute", &database).exits(0);
    let mut texts = vec![UNFORMATTED.to_owned()];
    for config in
        ["max_width=50,use_small_heuristics=Off", "max_width=200,use_small_heuristics=Max", "newline_style=Windows"]
    {
        rustfmt(&workspace, config);
        let text = workspace.read("mongomigrations/0001_a.rs");
        assert!(!texts.contains(&text), "rustfmt changes the file: {text}");
        texts.push(text);
        let outcome = workspace.run("execute --strict", &database).exits(0);
        assert!(!outcome.stderr.contains("warning"), "{}", outcome.stderr);
    }

    let edited = workspace.read("mongomigrations/0001_a.rs").replace("\"known\"", "\"new\"");
    workspace.migration("0001_a.rs", &edited);
    workspace.run("execute --strict", &database).exits(3);
}

#[test]
fn a_checksum_of_the_former_form_still_counts() {
    let workspace = Workspace::new();
    let database = TestDatabase::new();
    // The text is fixed, because its checksum is.
    let text = "use cargo_migrations::prelude::*;\n\npub async fn up(_: &Database,) -> Result<()> {\n    Ok(())\n}\n";
    const FORMER: &str = "sha256:24196d6a1dd0c90909076b76d66e09719c2b5807327130259916eac2517841f6";
    workspace.migration("0001_a.rs", text);
    workspace.run("execute", &database).exits(0);
    let set = |checksum: &str| {
        let update = doc! { "$set": { "checksum": checksum } };
        block_on(database.collection("migrations").update_one(doc! {}, update).into_future()).unwrap();
    };
    set(FORMER);
    let outcome = workspace.run("execute --strict", &database).exits(0);
    assert!(!outcome.stderr.contains("warning"), "{}", outcome.stderr);
    set(&FORMER.replace("sha256:2", "sha256:3"));
    assert_has(&workspace.run("execute", &database).exits(0).stderr, &["warning: ", "0001_a"]);
    // A renumbered file is recognized by it, too.
    set(FORMER);
    std::fs::rename(workspace.path("mongomigrations/0001_a.rs"), workspace.path("mongomigrations/0002_a.rs")).unwrap();
    assert_has(&workspace.run("execute", &database).exits(3).stderr, &["`0002_a` has the same code as `0001_a`"]);
}
