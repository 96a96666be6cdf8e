//! What is shown for Kubernetes, Compose and systemd: the configs in it are fine, the images are ours, and nothing has more rights than it needs.

use std::{fs, path::Path, process::Command};

use sidegate::config::KeyHash;

use super::files::{read, root};

/// What the pages and images of a deployment are called by.
const KUBERNETES: [&str; 3] = ["gateway.yaml", "sidecar-loopback.yaml", "sidecar-unix-socket.yaml"];

/// The text of each `name: |` of a YAML file, without its indentation.
fn blocks(text: &str, name: &str) -> Vec<String> {
    let (mut blocks, mut lines) = (Vec::new(), text.lines().peekable());
    while let Some(line) = lines.next() {
        if line.trim() != format!("{name}: |") {
            continue;
        }
        let depth = line.len() - line.trim_start().len() + 2;
        let mut block = String::new();
        while let Some(line) = lines.next_if(|line| line.is_empty() || line.len() - line.trim_start().len() >= depth) {
            block.push_str(line.get(depth..).unwrap_or_default());
            block.push('\n');
        }
        blocks.push(block);
    }
    blocks
}

/// What `sidegate check` says of a config whose mounted secrets are at `secrets`.
fn check(config: &str, (mounted, secrets): (&str, &Path)) -> Result<(), String> {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("proxy.yaml");
    fs::write(&file, config.replace(mounted, &secrets.to_string_lossy())).unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_sidegate")).arg("check").arg(&file).output().unwrap();
    output.status.success().then_some(()).ok_or_else(|| String::from_utf8_lossy(&output.stderr).into_owned())
}

#[test]
fn the_configs_for_kubernetes_are_fine() {
    let secrets = tempfile::tempdir().unwrap();
    for (name, text) in [("openai/first", "sk-first\n"), ("openai/second", "sk-second\n"), ("admin/token", "0123456789abcdef\n")] {
        let path = secrets.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    for name in KUBERNETES {
        let configs = blocks(&read(&format!("examples/kubernetes/{name}")), "proxy.yaml");
        assert_eq!(configs.len(), 1, "{name}");
        check(&configs[0], ("/var/run/secrets/sidegate", secrets.path())).unwrap_or_else(|said| panic!("{name}: {said}"));
    }
}

#[test]
fn the_config_for_compose_is_fine_and_knows_the_key_that_the_application_has() {
    let config = read("examples/compose/sidegate/proxy.yaml");
    check(&config, ("/run/secrets", &root().join("examples/compose/keys"))).unwrap();
    let hash = KeyHash::of(read("examples/compose/keys/web").trim().as_bytes()).to_string();
    assert!(config.contains(&hash), "{hash}");
}

#[test]
fn a_block_is_found_without_its_indentation() {
    assert_eq!(blocks("a:\n  proxy.yaml: |\n    b:\n      c: 1\n\n    d: 2\ne: 3\n", "proxy.yaml"), ["b:\n  c: 1\n\nd: 2\n"]);
    assert!(check("nonsense: 1\n", ("/nowhere", Path::new("/nowhere"))).unwrap_err().contains("nonsense"));
}

/// The value of each `image:`.
fn images(text: &str) -> Vec<&str> {
    text.lines().filter_map(|line| line.trim().strip_prefix("image: ")).collect()
}

#[test]
fn images_are_pinned_and_ours_is_of_this_version() {
    let ours = concat!("sidegate:", env!("CARGO_PKG_VERSION"));
    for path in KUBERNETES.map(|name| format!("examples/kubernetes/{name}")).into_iter().chain(["examples/compose/compose.yaml".to_owned()])
    {
        let text = read(&path);
        let images = images(&text);
        assert!(images.contains(&ours), "{path}: {images:?}");
        for image in images {
            let (name, tag) = image.rsplit_once(':').unwrap_or_else(|| panic!("{path}: {image}"));
            assert!(tag.split('.').count() == 3 && (name != "sidegate" || image == ours), "{path}: {image}");
        }
    }
}

#[test]
fn no_container_has_more_rights_than_it_needs() {
    for name in KUBERNETES {
        let text = read(&format!("examples/kubernetes/{name}"));
        let (containers, pods) = (images(&text).len(), text.matches("    spec:\n      automountServiceAccountToken: false\n").count());
        // The restricted profile of the Pod Security Standards, and a root that nobody writes to.
        for line in ["allowPrivilegeEscalation: false", "readOnlyRootFilesystem: true", "capabilities: { drop: [ALL] }"] {
            assert_eq!(text.matches(line).count(), containers, "{name}: {line}");
        }
        for line in ["runAsNonRoot: true", "seccompProfile: { type: RuntimeDefault }"] {
            assert_eq!(text.matches(line).count(), pods, "{name}: {line}");
        }
        assert!(pods == 1 && containers >= 1, "{name}");
        assert!(!text.contains("subPath:"), "{name}: a file that is mounted alone is never updated");
    }
    let compose = read("examples/compose/compose.yaml");
    assert_eq!(compose.matches("<<: *bounds").count(), images(&compose).len());
    for line in ["read_only: true", "cap_drop: [ALL]", "security_opt: [\"no-new-privileges:true\"]"] {
        assert!(compose.contains(line), "{line}");
    }
}

/// A hook of a native sidecar runs when the pod is told to end, and not when the application has ended: a drain would begin too early.
#[test]
fn no_native_sidecar_drains_before_its_application() {
    for name in KUBERNETES.into_iter().filter(|name| name.starts_with("sidecar")) {
        let text = read(&format!("examples/kubernetes/{name}"));
        let rules = text.lines().filter(|line| !line.trim().starts_with('#'));
        assert!(!rules.clone().any(|line| line.contains("preStop") || line.contains("lifecycle")), "{name}");
        let (sidecar, application) = text.split_once("      containers:\n").unwrap();
        assert!(sidecar.contains("restartPolicy: Always") && sidecar.contains("startupProbe:"), "{name}");
        assert!(!application.contains("image: sidegate"), "{name}");
    }
}

#[test]
fn the_unit_is_called_safe() {
    let unit = root().join("examples/systemd/sidegate.service");
    // Exposure in tenths: 1.5, of 10. A version that can't look at files is no reason to fail.
    let analysis = Command::new("systemd-analyze").args(["security", "--offline=yes", "--threshold=15", "--no-pager"]).arg(unit).output();
    match analysis {
        Ok(output) if String::from_utf8_lossy(&output.stderr).contains("offline") => {
            eprintln!("skipped: systemd-analyze is older than 250")
        }
        Ok(output) => assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout)),
        Err(error) => eprintln!("skipped: systemd-analyze: {error}"),
    }
}
