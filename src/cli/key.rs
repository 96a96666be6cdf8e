//! `sidegate key`: client keys and master keys made, provider keys sealed. A secret comes by standard input and is never an
//! argument, which every user of the machine may read.

mod new;

use std::{
    fs::OpenOptions,
    io::{self, IsTerminal, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    process::ExitCode,
};

use clap::{Args, Subcommand};
use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};
use secrecy::zeroize::Zeroizing;

use super::{DEFAULT_FILE, EX_USAGE, print, refuse};
use crate::{
    config::{Environment, MasterKey, Sealer},
    types::MasterKeyId,
};

/// The longest key that is sealed, in bytes: far more than any provider's.
const MAX_SIZE: usize = 16 << 10;

/// What to do with keys.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Make a client key: prints it once, on standard output, and the config's entry for it on standard error.
    New(new::New),
    /// Encrypt a provider's key for the config: reads it from standard input, prints the `sealed:…` text.
    Seal(Seal),
    /// Make a master key: a new file that only this user may open.
    Master {
        /// The file to make; one that exists is never replaced.
        #[arg(value_name = "FILE")]
        file: PathBuf,
    },
}

/// The master key to seal with: the first of a config, or one that is named here.
#[derive(Debug, Args)]
pub struct Seal {
    /// The config whose first master key seals; by default `proxy.yaml`.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["key_file", "key_env"])]
    config: Option<PathBuf>,
    /// A file with the master key.
    #[arg(long, value_name = "FILE", requires = "id", conflicts_with = "key_env")]
    key_file: Option<PathBuf>,
    /// An environment variable with the master key.
    #[arg(long, value_name = "NAME", requires = "id")]
    key_env: Option<String>,
    /// The name under which the config has this master key.
    #[arg(long, value_name = "ID")]
    id: Option<MasterKeyId>,
}

/// `sidegate key …`: 0, or [`EX_USAGE`] for what can't be done with what was given.
pub fn run(command: &Command, environment: &Environment) -> ExitCode {
    let done = match command {
        Command::New(args) => return new::run(args),
        Command::Seal(args) => match sealer(args, environment) {
            Ok(sealer) => read_key().and_then(|key| sealer.seal(&key)),
            Err(exit) => return exit,
        },
        Command::Master { file } => make(file),
    };
    match done {
        Ok(text) => print(&format!("{text}\n")),
        Err(why) => complain(&why),
    }
}

/// The master key that seals; where there is none, that has been said.
fn sealer(args: &Seal, environment: &Environment) -> Result<Sealer, ExitCode> {
    let sealer = match (&args.id, &args.key_file, &args.key_env) {
        (Some(id), Some(file), _) => Sealer::of_file(id.clone(), file),
        (Some(id), None, Some(name)) => Sealer::of_variable(id.clone(), name, environment),
        (Some(_), None, None) => Err("`--id` names a master key; give the key by `--key-file` or `--key-env`".to_owned()),
        (None, ..) => match (&args.config, Path::new(DEFAULT_FILE)) {
            (None, default) if default.symlink_metadata().is_err() => {
                Err(format!("there is no {DEFAULT_FILE} here; give `--config`, or a master key by `--key-file` or `--key-env` and `--id`"))
            }
            (file, default) => {
                return Sealer::of_config(file.as_deref().unwrap_or(default), environment).map_err(|problems| refuse(&problems));
            }
        },
    };
    sealer.map_err(|why| complain(&why))
}

fn make(file: &Path) -> Result<String, String> {
    let failed = |error: io::Error| match error.kind() {
        io::ErrorKind::AlreadyExists => format!("the file `{}` exists; what it sealed would be lost, so give another name", file.display()),
        _ => format!("the file `{}` can't be made: {error}", file.display()),
    };
    let key = MasterKey::random()?;
    let mut made = OpenOptions::new().write(true).create_new(true).mode(0o600).open(file).map_err(failed)?;
    let text = Zeroizing::new(format!("{}\n", *key.to_text()));
    made.write_all(text.as_bytes()).and_then(|()| made.sync_all()).map_err(failed)?;
    Ok(format!("{}: a new master key; name it first below `sealing.keys`: {{ id: NAME, file: PATH }}", file.display()))
}

/// The whole of standard input, or one line that the terminal does not show.
fn read_key() -> Result<Zeroizing<String>, String> {
    let input = io::stdin();
    let silence = if input.is_terminal() { Some(Silence::begin()?) } else { None };
    let mut part = Zeroizing::new([0; 1024]);
    // Room for all of it: one that grows leaves copies behind.
    let mut bytes = Zeroizing::new(Vec::with_capacity(MAX_SIZE + part.len()));
    // Read past the buffer of standard input, which nobody wipes.
    while bytes.len() <= MAX_SIZE && !(silence.is_some() && bytes.ends_with(b"\n")) {
        match rustix::io::read(&input, &mut *part) {
            Ok(0) => break,
            Ok(count) => bytes.extend_from_slice(&part[..count]),
            Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(format!("standard input can't be read: {error}")),
        }
    }
    drop(silence);
    match std::str::from_utf8(&bytes) {
        _ if bytes.len() > MAX_SIZE => Err(format!("a key has at most {} KiB; give one key alone", MAX_SIZE >> 10)),
        Ok(text) => Ok(Zeroizing::new(text.to_owned())),
        Err(_) => Err("this is no text; give one key alone".to_owned()),
    }
}

/// A terminal that shows nothing of what is typed; dropped, it does again.
struct Silence(Termios);

impl Silence {
    fn begin() -> Result<Self, String> {
        let failed = |error| format!("the terminal would show the key ({error}); give it by a pipe or from a file");
        let before = tcgetattr(io::stdin()).map_err(failed)?;
        let mut silent = before.clone();
        silent.local_modes.remove(LocalModes::ECHO);
        tcsetattr(io::stdin(), OptionalActions::Flush, &silent).map_err(failed)?;
        // A prompt that nobody sees is no error; the key may still come.
        let _ = write!(io::stderr().lock(), "The key (it is not shown): ");
        Ok(Self(before))
    }
}

impl Drop for Silence {
    fn drop(&mut self) {
        // Where the terminal is gone there is nothing to restore.
        let _ = tcsetattr(io::stdin(), OptionalActions::Now, &self.0);
        let _ = writeln!(io::stderr().lock());
    }
}

/// Says what is wrong and what to do; the answer is [`EX_USAGE`].
fn complain(text: &str) -> ExitCode {
    // Nobody is left to tell where standard error is closed; the exit code still says it.
    let _ = writeln!(io::stderr().lock(), "sidegate key: {text}");
    ExitCode::from(EX_USAGE)
}
