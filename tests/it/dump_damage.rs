//! Dumps that are damaged, dumps and restores that fail in the middle, and people who say no: nothing is touched, or what is
//! left is reported.

use std::fs;
use std::path::PathBuf;

use cargo_migrations::mongod::Throwaway;
use cargo_migrations::mongodb::Client;
use cargo_migrations::mongodb::bson::{Bson, doc};

use super::support::{DumpStage as Stage, assert_has, block_on, pty, simple};

#[test]
fn a_damaged_dump_is_refused_and_nothing_is_touched() {
    type Damage = fn(&Stage);
    let damages: [(Damage, &str); 11] = [
        (
            |stage| {
                let mut bytes = fs::read(stage.file("notes.bson")).unwrap();
                let middle = bytes.len() / 2;
                bytes[middle] ^= 1;
                fs::write(stage.file("notes.bson"), bytes).unwrap();
            },
            "its checksum differs from the manifest's",
        ),
        (
            |stage| {
                let bytes = fs::read(stage.file("notes.bson")).unwrap();
                fs::write(stage.file("notes.bson"), &bytes[..bytes.len() - 3]).unwrap();
            },
            "its checksum differs from the manifest's",
        ),
        (|stage| fs::remove_file(stage.file("notes.metadata.json")).unwrap(), "is missing, so the dump is incomplete"),
        (|stage| fs::remove_file(stage.file("notes.bson")).unwrap(), "is missing, so the dump is incomplete"),
        (|stage| fs::write(stage.file("../manifest.json"), "{}").unwrap(), "is not a valid manifest"),
        // Without a manifest: what can be seen of the files themselves.
        (
            |stage| {
                fs::remove_file(stage.file("../manifest.json")).unwrap();
                let bytes = fs::read(stage.file("notes.bson")).unwrap();
                fs::write(stage.file("notes.bson"), &bytes[..bytes.len() - 3]).unwrap();
            },
            "it is cut off",
        ),
        (
            |stage| {
                fs::remove_file(stage.file("../manifest.json")).unwrap();
                fs::remove_file(stage.file("notes.metadata.json")).unwrap();
            },
            "has no metadata file, so the dump is incomplete",
        ),
        (
            |stage| {
                fs::remove_file(stage.file("../manifest.json")).unwrap();
                let mut bytes = fs::read(stage.file("notes.bson")).unwrap();
                bytes[4] = 0x7e;
                fs::write(stage.file("notes.bson"), bytes).unwrap();
            },
            "a document cannot be read",
        ),
        (
            |stage| {
                let manifest = fs::read_to_string(stage.file("../manifest.json")).unwrap();
                fs::write(stage.file("../manifest.json"), manifest.replace("/notes.bson", "/../../notes.bson")).unwrap();
            },
            "which is not in the dump",
        ),
        // A parser that calls itself for each level would overflow its stack.
        (
            |stage| {
                fs::remove_file(stage.file("../manifest.json")).unwrap();
                let mut inner = vec![5, 0, 0, 0, 0];
                for _ in 0..5_000 {
                    let length = i32::try_from(inner.len() + 8).unwrap();
                    let mut outer = length.to_le_bytes().to_vec();
                    outer.extend([4, b'0', 0]);
                    outer.append(&mut inner);
                    outer.push(0);
                    inner = outer;
                }
                fs::write(stage.file("notes.bson"), inner).unwrap();
            },
            "notes.bson is damaged: a document has more than 250 levels at byte 0",
        ),
        (
            |stage| {
                fs::remove_file(stage.file("../manifest.json")).unwrap();
                let deep = format!("{}1{}", "[".repeat(5_000), "]".repeat(5_000));
                let metadata = format!(r#"{{ "options": {{ "a": {deep} }}, "indexes": [] }}"#);
                fs::write(stage.file("notes.metadata.json"), metadata).unwrap();
            },
            "notes.metadata.json is damaged: its values are nested too deeply",
        ),
    ];
    for (damage, expected) in damages {
        let stage = Stage::new();
        stage.database.insert("notes", (0..100).map(|id| doc! { "_id": id, "text": "x".repeat(50) }));
        stage.run("dbdump").exits(0);
        damage(&stage);
        stage.database.insert("notes", [doc! { "_id": "later" }]);
        let before = (stage.hashes(), stage.database.collections());
        // Without a manifest it is the latest of nothing: it is named.
        let dump = stage.folder.path().join(&stage.dumps()[0]);
        let dump = dump.display();
        for line in [format!("restore:{dump} --yes"), format!("dbdump:verify={dump}"), format!("dbdump:prove={dump}")] {
            let outcome = stage.run(&line).exits(1);
            assert_has(&outcome.stderr, &["error: ", expected, "another dump"]);
        }
        assert_eq!((stage.hashes(), stage.database.collections()), before, "{expected}");
    }
}

#[test]
fn a_restore_asks_and_is_refused_without_a_terminal() {
    let stage = Stage::new();
    stage.database.insert("notes", [doc! { "_id": 1 }]);
    stage.run("dbdump").exits(0);
    stage.database.insert("notes", [doc! { "_id": 2 }]);
    let outcome = stage.run("restore:latest").exits(3);
    assert_has(&outcome.stderr, &["Replacing", ".notes (2 documents)", "confirmation is needed, but there is no terminal"]);
    let folder = stage.folder.path().display().to_string();
    let script = format!("MONGO_DUMP_DIRECTORY={folder} exec {} restore:latest", super::support::plugin().display());
    let shell = |answer: &str| {
        let answers = [("[y/N]", answer)];
        pty(&PathBuf::from("/bin/sh"), simple().root(), &["-c", &script], &stage.database, &answers)
    };
    let (screen, code) = shell("n\n");
    assert_eq!(code, 3, "{screen}");
    assert_eq!(stage.database.documents("notes").len(), 2);
    let (screen, code) = shell("y\n");
    assert_eq!(code, 0, "{screen}");
    assert_has(&screen, &["Replace all that", "[y/N]", "Restored"]);
    assert_eq!(stage.database.documents("notes").len(), 1);
}

#[test]
fn what_fails_in_the_middle_leaves_no_dump_that_looks_whole() {
    let server = block_on(Throwaway::replica_set_with(&["--setParameter", "enableTestCommands=1"])).unwrap();
    let stage = Stage::on(&server.uri());
    stage.database.insert("notes", (0..3000).map(|id| doc! { "_id": id, "text": "x".repeat(10_000) }));
    stage.database.insert("others", (0..3).map(|id| doc! { "_id": id }));
    let fault = |mode: Bson| {
        let namespace = format!("{}.notes", stage.database.name());
        let data = doc! { "failCommands": ["getMore"], "namespace": namespace, "errorCode": 8000 };
        stage.admin(doc! { "configureFailPoint": "failCommand", "mode": mode, "data": data });
    };
    fault("alwaysOn".into());
    for options in ["", ":consistent=no", ":gzip=yes"] {
        let outcome = stage.run(&format!("dbdump{options}")).exits(1);
        assert_has(&outcome.stderr, &["error: the database could not be read"]);
        assert!(stage.dumps().is_empty(), "{:?}", stage.dumps());
    }
    fault("off".into());
    stage.run("dbdump dbdump:verify=latest").exits(0);
}

#[test]
fn a_snapshot_that_the_server_no_longer_keeps_is_told_with_its_parameter() {
    let server = block_on(Throwaway::replica_set_with(&["--setParameter", "enableTestCommands=1"])).unwrap();
    let stage = Stage::on(&server.uri());
    stage.database.insert("notes", [doc! { "_id": 1 }]);
    let fault = doc! {
        "configureFailPoint": "failCommand",
        "mode": { "skip": 1 },
        "data": { "failCommands": ["find"], "errorCode": 239, "appName": "cargo-migrations" },
    };
    block_on(async {
        Client::with_uri_str(server.uri()).await.unwrap().database("admin").run_command(fault).await.unwrap()
    });
    let outcome = stage.run("dbdump").exits(1);
    assert_has(&outcome.stderr, &["minSnapshotHistoryWindowInSeconds", "`consistent=no`"]);
    assert!(stage.dumps().is_empty());
}

#[test]
fn a_disk_that_fills_is_told_and_leaves_nothing() {
    let stage = Stage::new();
    stage.database.insert("notes", (0..200).map(|id| doc! { "_id": id, "text": "x".repeat(10_000) }));
    // A limit on a file's size fails a write in its middle, as a full disk does.
    let script = "trap '' XFSZ; ulimit -f 512; exec \"$MANAGER\" dbdump";
    let line = super::support::Line::new("sh", simple().root()).args(["-c", script]).on(&stage.database);
    let line = line.env("MANAGER", simple().path("manager")).env("MONGO_DUMP_DIRECTORY", stage.folder.path());
    let outcome = line.run().exits(1);
    assert_has(&outcome.stderr, &["error: ", "notes.bson cannot be written"]);
    assert!(stage.dumps().is_empty(), "{:?}", stage.dumps());
}
