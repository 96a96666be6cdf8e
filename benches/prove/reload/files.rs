//! The config file and the mounted Secret, and the ways in which files come to be others.

use std::{
    fs,
    net::SocketAddr,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
};

/// How a file's content changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    /// Written beside it and renamed over it, as editors do.
    Rename,
    /// Written into it.
    InPlace,
    /// A folder of its own, and one link that comes to point there, as ConfigMaps do.
    Swap,
}

impl Way {
    pub(super) const ALL: [Self; 3] = [Self::Rename, Self::InPlace, Self::Swap];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Rename => "renamed over",
            Self::InPlace => "in place",
            Self::Swap => "`..data` swapped",
        }
    }
}

/// Everything that Sidegate reads, below one folder.
pub(super) struct Files {
    pub(super) folder: PathBuf,
    listen: SocketAddr,
    admin: SocketAddr,
    providers: [SocketAddr; 2],
    swaps: u64,
}

impl Files {
    /// With a first config, and one key in the Secret.
    pub(super) fn below(folder: &Path, listen: SocketAddr, admin: SocketAddr, providers: [SocketAddr; 2]) -> Self {
        fs::create_dir(folder.join("config")).expect("a folder");
        fs::create_dir(folder.join("secret")).expect("a folder");
        let mut files = Self { folder: folder.to_owned(), listen, admin, providers, swaps: 0 };
        files.write(0, Way::Rename);
        files.secret(&[secret(0)]);
        files
    }

    pub(super) fn config(&self) -> PathBuf {
        self.folder.join("config/proxy.yaml")
    }

    /// The key that only this change brings.
    pub(super) fn extra_key(change: u64) -> Option<String> {
        (change % 6 == 3).then(|| format!("sk-more-{change}"))
    }

    /// Writes the config of this number: never what stood there before.
    pub(super) fn write(&mut self, change: u64, way: Way) {
        let text = self.text(change);
        let file = self.config();
        match way {
            Way::Rename => {
                let aside = file.with_extension("yaml.tmp");
                fs::write(&aside, text).expect("a file");
                fs::rename(aside, file).expect("a rename");
            }
            Way::InPlace => fs::write(file, text).expect("a file"),
            Way::Swap => {
                self.swap("config", &[("proxy.yaml".to_owned(), text)]);
                if !file.is_symlink() {
                    let aside = file.with_extension("yaml.link");
                    symlink("..data/proxy.yaml", &aside).expect("a link");
                    fs::rename(aside, file).expect("a rename");
                }
            }
        }
    }

    /// Lets the Secret hold these keys, a file each.
    pub(super) fn secret(&mut self, keys: &[String]) {
        let files: Vec<_> = keys.iter().map(|key| (format!("key-{key}"), key.clone())).collect();
        self.swap("secret", &files);
        let secret = self.folder.join("secret");
        // As the kubelet does: new names come behind the swap, old ones go.
        for (name, _) in files.iter().filter(|(name, _)| !secret.join(name).is_symlink()) {
            symlink(format!("..data/{name}"), secret.join(name)).expect("a link");
        }
        for entry in fs::read_dir(&secret).expect("a folder") {
            let entry = entry.expect("an entry");
            let name = entry.file_name().to_string_lossy().into_owned();
            if !name.starts_with("..") && files.iter().all(|(kept, _)| *kept != name) {
                fs::remove_file(entry.path()).expect("a link to remove");
            }
        }
    }

    fn swap(&mut self, mount: &str, files: &[(String, String)]) {
        let mount = self.folder.join(mount);
        self.swaps += 1;
        let name = format!("..2026_11_22_{}", self.swaps);
        fs::create_dir(mount.join(&name)).expect("a folder");
        for (file, text) in files {
            fs::write(mount.join(&name).join(file), text).expect("a file");
        }
        let before = fs::read_link(mount.join("..data"));
        symlink(&name, mount.join("..data_tmp")).expect("a link");
        fs::rename(mount.join("..data_tmp"), mount.join("..data")).expect("a rename");
        if let Ok(before) = before {
            fs::remove_dir_all(mount.join(before)).expect("an old folder to remove");
        }
    }

    /// Each number changes other things than the one before: a weight, a timeout, a route, a key, the pool's bounds, a provider.
    /// Keys are always new ones, as rotated keys are. Routes and providers come and go by a few names: each name has metrics for life.
    fn text(&self, change: u64) -> String {
        let (kind, name) = (change % 6, change / 6 % 20);
        let weight = if kind == 0 { 2 + change % 5 } else { 1 };
        let idle = if kind == 1 { 301 + change % 97 } else { 300 };
        let route = if kind == 2 { format!("  - {{ path: /more-{name}, targets: [first] }}\n") } else { String::new() };
        let key = Self::extra_key(change).map(|key| format!("      - {{ value: {key}, name: more }}\n")).unwrap_or_default();
        let connections = if kind == 4 { 5000 + change % 11 } else { 10000 };
        let more = if kind == 5 {
            format!("  more-{name}:\n    base_url: http://127.0.0.1:9/v1\n    keys: [{{ value: sk-of-another, name: other }}]\n")
        } else {
            String::new()
        };
        let provider = |name: &str, version: &str, address: SocketAddr| {
            format!(
                "  {name}:\n    base_url: http://{address}/v1\n    http_version: {version}\n    timeouts: {{ idle: {idle}s }}\n    \
                 connections: {{ max: {connections} }}\n    keys:\n      - {{ value: sk-of-the-pool, name: only, weight: {weight} }}\n{key}      \
                 - {{ dir: {}/secret }}\n",
                self.folder.display()
            )
        };
        let [first, second] = self.providers;
        format!(
            "require_end: true\nlisten: {{ address: \"{}\" }}\nadmin: {{ address: \"{}\" }}\nproviders:\n{}{}{more}\
             routes:\n  - {{ path: /v1, targets: [first] }}\n  - {{ path: /v2, targets: [second] }}\n{route}...\n",
            self.listen,
            self.admin,
            provider("first", "1.1", first),
            provider("second", "2", second),
        )
    }
}

/// The Secret's key of this number.
pub(super) fn secret(number: u64) -> String {
    format!("sk-rotated-{number}")
}
