//! A proxy that makes a server seem far away: whatever passes is delayed in each direction, as much as comes at a time.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use cargo_migrations::Result;

/// Starts one in front of a server on this machine. It ends with the process. Returns a connection string.
pub(crate) fn start(server: u16, delay: Duration) -> Result<String> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let port = listener.local_addr()?.port();
    thread::spawn(move || {
        for client in listener.incoming().flatten() {
            let Ok(server) = TcpStream::connect(("127.0.0.1", server)) else { continue };
            let _ = (client.set_nodelay(true), server.set_nodelay(true));
            if let (Ok(from_client), Ok(from_server)) = (client.try_clone(), server.try_clone()) {
                pass_on(from_client, server, delay);
                pass_on(from_server, client, delay);
            }
        }
    });
    Ok(format!("mongodb://127.0.0.1:{port}/?directConnection=true"))
}

fn pass_on(mut from: TcpStream, mut to: TcpStream, delay: Duration) {
    let (sender, due) = mpsc::channel::<(Instant, Vec<u8>)>();
    thread::spawn(move || {
        let mut buffer = vec![0; 1 << 16];
        while let Ok(count @ 1..) = from.read(&mut buffer) {
            if sender.send((Instant::now() + delay, buffer[..count].to_vec())).is_err() {
                break;
            }
        }
    });
    thread::spawn(move || {
        while let Ok((at, bytes)) = due.recv() {
            thread::sleep(at.saturating_duration_since(Instant::now()));
            if to.write_all(&bytes).is_err() {
                break;
            }
        }
        let _ = to.shutdown(Shutdown::Both);
    });
}
