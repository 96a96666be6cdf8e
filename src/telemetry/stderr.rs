//! Standard error, written so that it holds nobody up. Whoever reads it may stop to, and behind a full pipe every thread
//! that has something to say would stop as well: those that serve, and the one that hears signals.

use std::{
    io::{self, Write},
    os::fd::AsFd,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use rustix::event::{PollFd, PollFlags, Timespec, poll};

/// How long a line may wait for room. While there is none after that, lines are lost at once.
const PATIENCE: Duration = Duration::from_millis(250);

/// Where a pipe takes anything, it takes as much as this without blocking (pipe(7): `PIPE_BUF`).
const AT_ONCE: usize = 4096;

/// Writes whole lines to `T`, or loses them where there is no room, and says later how many.
#[derive(Debug)]
pub struct Lossy<T> {
    to: Mutex<To<T>>,
    is_json: bool,
}

#[derive(Debug)]
struct To<T> {
    output: T,
    /// Lines that were lost since one was written.
    lost: u64,
    /// Whether the last that was begun has no end.
    is_cut: bool,
}

impl<T> Lossy<T> {
    /// Over `output`, with lines in JSON or for people.
    #[must_use]
    pub fn new(output: T, is_json: bool) -> Self {
        Self { to: Mutex::new(To { output, lost: 0, is_cut: false }), is_json }
    }
}

impl<T: Write + AsFd> Lossy<T> {
    fn write_line(&self, line: &[u8]) -> io::Result<()> {
        let mut to = self.to.lock().unwrap_or_else(PoisonError::into_inner);
        if to.lost > 0 && has_room(&to.output, Duration::ZERO) {
            let (end, lost) = (if to.is_cut { "\n" } else { "" }, to.lost);
            let note = if self.is_json {
                format!("{end}{{\"level\":\"WARN\",\"message\":\"lines were lost: there was no room for them\",\"lines\":{lost}}}\n")
            } else {
                format!("{end}WARN lines were lost: there was no room for them lines={lost}\n")
            };
            to.output.write_all(note.as_bytes())?;
            (to.lost, to.is_cut) = (0, false);
        }
        for (at, part) in line.chunks(AT_ONCE).enumerate() {
            if !has_room(&to.output, if to.lost == 0 { PATIENCE } else { Duration::ZERO }) {
                to.lost += 1;
                to.is_cut |= at > 0;
                return Ok(());
            }
            to.output.write_all(part)?;
        }
        Ok(())
    }
}

/// Whether a write would not block. Where that can't be told it is tried.
fn has_room(output: &impl AsFd, patience: Duration) -> bool {
    let patience = Timespec::try_from(patience).ok();
    poll(&mut [PollFd::new(output, PollFlags::OUT)], patience.as_ref()).is_ok_and(|ready| ready > 0)
}

impl<T: Write + AsFd> Write for &Lossy<T> {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.write_line(line).map(|()| line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::{
        io::Read,
        sync::{Arc, mpsc},
        thread,
    };

    use super::*;

    #[test]
    fn a_reader_who_stops_holds_nobody_up_and_learns_what_he_has_missed() {
        let (mut reader, writer) = io::pipe().unwrap();
        let lossy = Arc::new(Lossy::new(writer, true));
        let line = [&[b'x'; 9_999][..], b"\n"].concat();
        let (tell, told) = mpsc::channel();
        thread::spawn({
            let (lossy, line) = (Arc::clone(&lossy), line.clone());
            move || {
                for _ in 0..1_000 {
                    (&*lossy).write_all(&line).unwrap();
                }
                tell.send(()).unwrap();
            }
        });
        told.recv_timeout(Duration::from_secs(20)).expect("a writer waits for its reader");
        let reading = thread::spawn(move || {
            let mut text = String::new();
            reader.read_to_string(&mut text).map(|_| text)
        });
        while !has_room(&lossy.to.lock().unwrap().output, PATIENCE) {}
        (&*lossy).write_all(b"after\n").unwrap();
        drop(lossy);
        let text = reading.join().unwrap().unwrap();
        let whole = text.lines().filter(|text| text.len() == line.len() - 1).count();
        let note = format!("\"lines\":{}}}", 1_000 - whole);
        assert!(text.ends_with(&format!("{note}\nafter\n")), "{whole} whole, {:?}", &text[text.len() - 200..]);
        assert!((1..100).contains(&whole));
    }
}
