//! Documents are bytes to a dump: what is not UTF-8, numbers that are equal but not the same, and the largest documents come back
//! as they were, and `prove` says so.

use std::fs;

use cargo_migrations::mongodb::bson::{RawDocumentBuf, doc, rawdoc};

use super::support::{DumpStage as Stage, assert_has, block_on, simple};

const DOUBLE: u8 = 0x01;
const STRING: u8 = 0x02;
const DOCUMENT: u8 = 0x03;
const REGEX: u8 = 0x0b;
const CODE: u8 = 0x0d;
const INT: u8 = 0x10;
const TIMESTAMP: u8 = 0x11;

/// Bytes that are not UTF-8.
const BAD: &[u8] = b"caf\xe9 \xff\xfe";

/// A field of a document.
fn field(kind: u8, name: &[u8], value: &[u8]) -> Vec<u8> {
    [&[kind], name, &[0], value].concat()
}

fn text(kind: u8, name: &[u8], value: &[u8]) -> Vec<u8> {
    let length = i32::try_from(value.len() + 1).unwrap();
    field(kind, name, &[&length.to_le_bytes(), value, &[0]].concat())
}

fn int(name: &[u8], value: i32) -> Vec<u8> {
    field(INT, name, &value.to_le_bytes())
}

fn double(name: &[u8], bits: u64) -> Vec<u8> {
    field(DOUBLE, name, &bits.to_le_bytes())
}

fn document(fields: &[Vec<u8>]) -> Vec<u8> {
    let fields = fields.concat();
    let length = i32::try_from(fields.len() + 5).unwrap();
    [&length.to_le_bytes()[..], &fields, &[0]].concat()
}

/// Inserts documents as they are. The driver would refuse some of them.
fn insert(stage: &Stage, collection: &str, documents: &[Vec<u8>]) {
    block_on(async {
        let database = stage.handle().await;
        for bytes in documents {
            let document = RawDocumentBuf::from_bytes(bytes.clone()).unwrap();
            let command = rawdoc! { "insert": collection, "documents": [document] };
            let reply = database.run_raw_command(command).await.unwrap();
            assert_eq!(reply.get_i32("n").unwrap(), 1, "{reply}");
        }
    });
}

/// The documents of a collection as they are stored.
fn stored(stage: &Stage, collection: &str) -> Vec<Vec<u8>> {
    block_on(async {
        let database = stage.handle().await;
        let mut cursor = database.collection::<RawDocumentBuf>(collection).find(doc! {}).await.unwrap();
        let mut documents = Vec::new();
        while cursor.advance().await.unwrap() {
            documents.push(cursor.current().as_bytes().to_vec());
        }
        documents.sort();
        documents
    })
}

/// Documents with something that is not UTF-8 in every place that can have it.
fn not_utf_8() -> Vec<Vec<u8>> {
    vec![
        document(&[int(b"_id", 1), text(STRING, b"a", BAD)]),
        document(&[text(STRING, b"_id", BAD), int(b"a", 1)]),
        document(&[field(DOCUMENT, b"_id", &document(&[text(STRING, BAD, BAD)])), int(b"a", 1)]),
        document(&[int(b"_id", 2), int(BAD, 1), field(DOCUMENT, b"a", &document(&[int(BAD, 1)]))]),
        document(&[int(b"_id", 3), text(CODE, b"a", BAD), field(REGEX, b"b", &[BAD, b"\0i\0"].concat())]),
        document(&[int(b"_id", 4), int(b"a", 1)]),
    ]
}

/// Dumps, proves, and restores into an empty database, also without the manifest, as a dump of mongodump's.
fn comes_back(stage: &Stage, collections: &[&str]) {
    let before = (stage.hashes(), stage.catalog());
    let documents: Vec<_> = collections.iter().map(|name| stored(stage, name)).collect();
    for options in ["", ":gzip=yes,consistent=no"] {
        stage.run(&format!("dbdump{options}")).exits(0);
        let dump = stage.folder.path().join(stage.dumps().last().unwrap());
        for has_manifest in [true, false] {
            if !has_manifest {
                fs::remove_file(dump.join("manifest.json")).unwrap();
            }
            let name = dump.display();
            stage.run(&format!("dbdump:verify={name} dbdump:prove={name}")).exits(0);
            stage.drop_all();
            stage.run(&format!("restore:{name} --yes")).exits(0);
            assert_eq!((stage.hashes(), stage.catalog()), before, "{options} {has_manifest}");
            for (name, documents) in collections.iter().zip(&documents) {
                assert_eq!(&stored(stage, name), documents, "{name}");
            }
        }
    }
}

#[test]
fn what_is_not_utf_8_comes_back_as_it_was() {
    let stage = Stage::new();
    insert(&stage, "notes", &not_utf_8());
    stage.command(doc! { "create": "capped", "capped": true, "size": 4096 });
    // Those that the driver can read, and those that it cannot, in turn.
    for pair in not_utf_8().chunks(2).rev() {
        insert(&stage, "capped", pair);
    }
    stage.command(doc! { "createIndexes": "notes", "indexes": [{ "key": { "a": 1 }, "name": "a" }] });
    comes_back(&stage, &["notes", "capped"]);
}

#[test]
fn an_empty_timestamp_comes_back_under_and_beside_what_is_not_utf_8() {
    let stage = Stage::new();
    let empty = |name: &[u8]| field(TIMESTAMP, name, &[0; 8]);
    let documents = [
        document(&[text(STRING, b"_id", BAD), empty(b"a"), empty(b"a.b"), empty(b"$c"), empty(b"")]),
        document(&[int(b"_id", 1), empty(BAD), empty(b"a"), int(b"b", 1)]),
        document(&[int(b"_id", 2), text(STRING, b"x", BAD), empty(b"a")]),
    ];
    // An insert puts the time there, so the fields are set afterwards.
    block_on(async {
        let database = stage.handle().await;
        for (number, bytes) in documents.iter().enumerate() {
            let wanted = RawDocumentBuf::from_bytes(bytes.clone()).unwrap();
            let literal = rawdoc! { "$replaceWith": { "$literal": wanted } };
            let update = rawdoc! { "q": { "number": i32::try_from(number).unwrap() }, "u": [literal], "upsert": true };
            // The driver does not read the reply, which has the `_id`.
            let _ = database.run_raw_command(rawdoc! { "update": "times", "updates": [update] }).await;
        }
    });
    let mut expected = documents.to_vec();
    expected.sort();
    assert_eq!(stored(&stage, "times"), expected, "the test has stored what it means to");
    comes_back(&stage, &["times"]);
}

#[test]
fn equal_numbers_that_are_not_the_same_are_told_apart() {
    let stage = Stage::new();
    // Two NaN, of which an index keeps only that they are NaN, and a negative zero.
    let bits = [0x7ff8_0000_0000_0001, 0xfff8_0000_0000_0000, 0x7ff0_0000_0000_00ff];
    for (number, bits) in bits.into_iter().enumerate() {
        let documents = [
            document(&[double(b"_id", bits), int(b"a", 1)]),
            document(&[double(b"_id", 0x8000_0000_0000_0000), double(b"a", bits)]),
            document(&[field(DOCUMENT, b"_id", &document(&[double(b"x", bits)]))]),
        ];
        insert(&stage, &format!("numbers{number}"), &documents);
    }
    stage.command(doc! { "create": "limited", "validator": { "a": { "$ne": f64::NAN } } });
    stage.command(doc! { "createIndexes": "limited", "indexes": [
        { "key": { "b": 1 }, "name": "b", "partialFilterExpression": { "b": { "$lt": f64::NAN } } },
    ] });
    comes_back(&stage, &["numbers0", "numbers1", "numbers2"]);
}

#[test]
fn the_largest_documents_are_proved_and_an_old_index_on_id_too() {
    let stage = Stage::new();
    stage.command(doc! { "create": "old", "idIndex": { "key": { "_id": 1 }, "name": "_id_", "v": 1 } });
    stage.database.insert("old", (0..3).map(|id| doc! { "_id": id }));
    for id in 0..3 {
        let id_and_names = document(&[int(b"_id", id), text(STRING, b"x", b"")]).len();
        let largest = document(&[int(b"_id", id), text(STRING, b"x", &vec![b'x'; (16 << 20) - id_and_names])]);
        assert_eq!(largest.len(), 16 << 20);
        insert(&stage, "large", &[largest]);
    }
    let hashes = stage.hashes();
    stage.run("dbdump dbdump:prove=latest").exits(0);
    stage.drop_all();
    stage.run("restore:latest --yes").exits(0);
    assert_eq!(stage.hashes(), hashes);
}

#[test]
fn a_dump_that_does_not_come_back_is_not_proved() {
    let stage = Stage::new();
    stage.database.insert("notes", (0..10).map(|id| doc! { "_id": id }));
    stage.command(doc! { "create": "capped", "capped": true, "size": 4096 });
    stage.run("dbdump").exits(0);
    let dump = stage.folder.path().join(stage.dumps().pop().unwrap());
    fs::remove_file(dump.join("manifest.json")).unwrap();
    let line = format!("dbdump:prove={}", dump.display());
    stage.run(&line).exits(0);
    let good = fs::read(stage.file("notes.bson")).unwrap();
    // A server adds an `_id` to what has none.
    let without_id = document(&[int(b"a", 1)]);
    fs::write(stage.file("notes.bson"), [good.clone(), without_id].concat()).unwrap();
    let outcome = stage.run(&line).exits(1);
    assert_has(
        &outcome.stderr,
        &["error: the restored database differs from the dump: the documents of notes differ", "hint: take the dump again"],
    );
    fs::write(stage.file("notes.bson"), good).unwrap();
    // A capped collection keeps only what fits, so that the first are gone.
    let many: Vec<u8> = (0..1000).flat_map(|id| document(&[int(b"_id", id)])).collect();
    fs::write(stage.file("capped.bson"), many).unwrap();
    let outcome = stage.run(&line).exits(1);
    assert_has(&outcome.stderr, &["differs from the dump: the documents of capped differ"]);
}

/// The most memory that the manager has used, in KiB, while it proved the latest dump.
#[cfg(target_os = "linux")]
fn memory_of_proof(stage: &Stage) -> u64 {
    let line = super::support::Line::new(simple().path("manager"), simple().root()).args(["dbdump:prove=latest"]);
    let line = line.on(&stage.database).env("MONGO_URI", &stage.uri).env("MONGO_DUMP_DIRECTORY", stage.folder.path());
    let mut child = line.spawn();
    let status = format!("/proc/{}/status", child.id());
    let mut most = 0;
    loop {
        if let Some(ended) = child.try_wait().unwrap() {
            assert!(ended.success());
            return most;
        }
        let status = fs::read_to_string(&status).unwrap_or_default();
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")?.split_whitespace().next()?.parse().ok());
        most = most.max(peak.unwrap_or(0));
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
}

#[test]
#[cfg(target_os = "linux")]
fn the_memory_of_a_proof_does_not_grow_with_the_documents() {
    let memory = |thousands: i32| {
        let stage = Stage::new();
        // The server makes them, because that is fast. They are more than the largest batches.
        let thousand = |name: &str| doc! { "$unwind": format!("${name}") };
        let pipeline = [
            doc! { "$documents": [{ "a": { "$range": [0, thousands] }, "b": { "$range": [0, 1000] } }] },
            thousand("a"),
            thousand("b"),
            doc! { "$project": { "_id": { "$add": [{ "$multiply": ["$a", 1000] }, "$b"] }, "text": "x".repeat(100) } },
            doc! { "$out": "notes" },
        ];
        stage.command(doc! { "aggregate": 1, "pipeline": pipeline.to_vec(), "cursor": {} });
        let outcome = stage.run("dbdump").exits(0);
        assert_has(&outcome.stderr, &[&format!("{thousands}000 documents")]);
        memory_of_proof(&stage)
    };
    // If anything were kept for each document, it would be some 100 bytes at least: 80 MiB.
    let (few, many) = (memory(200), memory(1000));
    assert!(few > 10 << 10 && many < few + (40 << 10), "{few} KiB for few documents, {many} KiB for many");
}
