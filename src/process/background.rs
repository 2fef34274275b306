//! A thread with a runtime of its own, for what must go on whatever a migration does to the threads it runs on.

use std::sync::mpsc;

use tokio::runtime::Handle;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use super::runtime::Runtime;

/// A thread with a runtime of its own. Its tasks end when the value is dropped.
#[must_use = "its tasks end when this is dropped"]
#[derive(Debug)]
pub(crate) struct Background {
    handle: Handle,
    /// The thread ends once this is dropped.
    _end: oneshot::Sender<()>,
}

impl Background {
    /// Starts the thread. `name` is what debuggers show.
    pub(crate) fn start(name: &str) -> std::io::Result<Self> {
        let (started, is_started) = mpsc::channel();
        let (end, ended) = oneshot::channel::<()>();
        std::thread::Builder::new().name(name.to_owned()).spawn(move || {
            let runtime = Runtime::single_threaded();
            match runtime {
                Ok(runtime) => {
                    let _ = started.send(Ok(runtime.handle().clone()));
                    let _ = runtime.run(ended);
                }
                Err(error) => {
                    let _ = started.send(Err(error));
                }
            }
        })?;
        let handle = is_started.recv().map_err(std::io::Error::other)??;
        Ok(Self { handle, _end: end })
    }

    /// Runs a task on the thread.
    pub(crate) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) -> JoinHandle<()> {
        self.handle.spawn(task)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn its_tasks_go_on_while_the_caller_blocks_and_end_with_it() {
        let background = Background::start("test").unwrap();
        let (sender, receiver) = mpsc::channel();
        background.spawn(async move {
            while sender.send(()).is_ok() {
                tokio::time::sleep(std::time::Duration::from_millis(1)).await;
            }
        });
        for _ in 0..3 {
            receiver.recv_timeout(std::time::Duration::from_secs(20)).unwrap();
        }
        drop(background);
        while receiver.recv_timeout(std::time::Duration::from_secs(20)).is_ok() {}
    }
}
