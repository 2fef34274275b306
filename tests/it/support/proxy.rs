//! A proxy in front of a `mongod`. It sees every command, can lose the reply to one, and can cause a fault right before one.

use std::collections::HashSet;
use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use cargo_migrations::mongodb::bson::Document;

/// What happens to a command.
pub(crate) enum Then {
    /// The server carries it out, but the connection is cut before its reply arrives.
    LoseAnswer,
    /// The function is called before the server receives the command.
    Arm(Box<dyn Fn() + Send>),
}

pub(crate) struct Proxy {
    port: u16,
    state: Arc<State>,
}

#[derive(Default)]
struct State {
    commands: Mutex<Vec<Document>>,
    rule: Mutex<Option<Rule>>,
    round_trips: Mutex<RoundTrips>,
}

#[derive(Default)]
struct RoundTrips {
    count: usize,
    /// The connections on which a reply is due.
    due: HashSet<u16>,
}

struct Rule {
    command: String,
    /// How many commands of that name are let through first.
    pass: usize,
    /// How many of them are caught after that.
    catch: usize,
    then: Then,
}

/// What of the traffic is the driver's own upkeep.
pub(crate) const UPKEEP: [&str; 6] = ["hello", "isMaster", "ismaster", "ping", "endSessions", "killCursors"];

impl Proxy {
    pub(crate) fn start(server: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let state = Arc::new(State::default());
        let shared = Arc::clone(&state);
        // Ends with the test process.
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let Ok(server) = TcpStream::connect(("127.0.0.1", server)) else { continue };
                let state = Arc::clone(&shared);
                std::thread::spawn(move || serve(client, server, &state));
            }
        });
        Self { port, state }
    }

    pub(crate) fn uri(&self) -> String {
        format!("mongodb://127.0.0.1:{}/?directConnection=true", self.port)
    }

    /// Every command so far. Documents that were sent as a separate section of the message are missing.
    pub(crate) fn commands(&self) -> Vec<Document> {
        self.state.commands.lock().unwrap().clone()
    }

    /// How often a command was sent while no reply to another one was due. The driver's own upkeep does not count.
    pub(crate) fn round_trips(&self) -> usize {
        self.state.round_trips.lock().unwrap().count
    }

    /// From now on, lets `pass` commands of that name through, and catches the next `catch` of them.
    pub(crate) fn catch(&self, command: &str, pass: usize, catch: usize, then: Then) {
        *self.state.rule.lock().unwrap() = Some(Rule { command: command.to_owned(), pass, catch, then });
    }

    /// Lets everything through from now on. Returns whether any command was caught.
    pub(crate) fn let_go(&self, catch: usize) -> bool {
        self.state.rule.lock().unwrap().take().is_some_and(|rule| rule.catch < catch)
    }
}

impl State {
    /// Records the command, and returns whether its reply is to be lost.
    fn record(&self, connection: u16, command: Document) -> bool {
        let name = command.keys().next().cloned().unwrap_or_default();
        if !UPKEEP.contains(&name.as_str()) {
            let mut round_trips = self.round_trips.lock().unwrap();
            round_trips.count += usize::from(round_trips.due.is_empty());
            round_trips.due.insert(connection);
        }
        self.commands.lock().unwrap().push(command);
        let mut rule = self.rule.lock().unwrap();
        let Some(rule) = rule.as_mut().filter(|rule| rule.command == name && rule.catch > 0) else { return false };
        if rule.pass > 0 {
            rule.pass -= 1;
            return false;
        }
        rule.catch -= 1;
        match &rule.then {
            Then::LoseAnswer => true,
            Then::Arm(arm) => {
                arm();
                false
            }
        }
    }
}

fn serve(mut client: TcpStream, mut server: TcpStream, state: &Arc<State>) {
    let mute = Arc::new(AtomicBool::new(false));
    let (mut from, mut to) = (server.try_clone().expect("a socket"), client.try_clone().expect("a socket"));
    let connection = client.peer_addr().map_or(0, |address| address.port());
    let (muted, of_replies) = (Arc::clone(&mute), Arc::clone(state));
    std::thread::spawn(move || {
        let mut buffer = vec![0; 1 << 16];
        while let Ok(count @ 1..) = from.read(&mut buffer) {
            of_replies.round_trips.lock().unwrap().due.remove(&connection);
            if muted.load(Ordering::SeqCst) || to.write_all(&buffer[..count]).is_err() {
                break;
            }
        }
        let _ = to.shutdown(Shutdown::Both);
        let _ = from.shutdown(Shutdown::Both);
    });
    while let Some(message) = read_message(&mut client) {
        if command(&message).is_some_and(|command| state.record(connection, command)) {
            mute.store(true, Ordering::SeqCst);
        }
        if server.write_all(&message).is_err() {
            break;
        }
    }
    if !mute.load(Ordering::SeqCst) {
        let _ = client.shutdown(Shutdown::Both);
        let _ = server.shutdown(Shutdown::Both);
    }
}

fn read_message(stream: &mut TcpStream) -> Option<Vec<u8>> {
    let mut length = [0; 4];
    stream.read_exact(&mut length).ok()?;
    let mut message = vec![0; usize::try_from(u32::from_le_bytes(length)).ok()?];
    message[..4].copy_from_slice(&length);
    stream.read_exact(&mut message[4..]).ok()?;
    Some(message)
}

/// Returns the body of an OP_MSG. The message is a header of 16 bytes, 4 bytes of flags, and sections that start with a byte for
/// their kind. The body has kind 0. The other sections are sequences of documents.
fn command(message: &[u8]) -> Option<Document> {
    const OP_MSG: u32 = 2013;
    if u32::from_le_bytes(message.get(12..16)?.try_into().ok()?) != OP_MSG {
        return None;
    }
    let mut rest = message.get(20..)?;
    while let Some((kind, section)) = rest.split_first() {
        let length = usize::try_from(u32::from_le_bytes(section.get(..4)?.try_into().ok()?)).ok()?;
        if *kind == 0 {
            return Document::from_reader(&mut section.get(..length)?).ok();
        }
        rest = section.get(length..)?;
    }
    None
}
