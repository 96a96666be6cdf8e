//! How the process that runs is reached: `admin:` alone. A mistake elsewhere in the file leaves the last good config serving,
//! so it must not keep anybody from asking that process how it is.

use std::{net::SocketAddr, path::Path};

use serde::Deserialize;

use super::{
    Admin, Environment, Origin, Problems, Sealed, decode, expand::Expansion, load, parse, path::FieldPath, source::Node, source::Value,
};

/// The one section that is read.
#[derive(Deserialize)]
struct Section {
    #[serde(default)]
    admin: Admin,
}

/// The address of the admin listener.
///
/// # Errors
///
/// If the file can't be read, is no YAML, or says an address that is none.
pub fn address(path: &Path, environment: &Environment) -> Result<SocketAddr, Problems> {
    section(path, environment, &["address"]).map(|admin| admin.address)
}

/// The same with the token that changes take.
///
/// # Errors
///
/// As [`address()`], or if the token can't be had. For one that is sealed, which takes a master key, the whole file has to be right.
pub fn admin(path: &Path, environment: &Environment) -> Result<Admin, Problems> {
    let admin = section(path, environment, &["address", "token"])?;
    match &admin.token {
        Some(token) if Sealed::is_sealed(token.0.expose()) => load::load(path, environment).map(|loaded| loaded.config.admin),
        _ => Ok(admin),
    }
}

/// These fields of `admin:`, all others at their defaults.
fn section(path: &Path, environment: &Environment, fields: &[&str]) -> Result<Admin, Problems> {
    let origin = Origin::file(path, environment.clone())?;
    let source = origin.source();
    let mut findings = Vec::new();
    let Some(mut tree) = parse::parse(&source, &mut findings) else { return Err(load::without_tree(findings, &source)) };
    // Fields written twice were noted all over the file.
    findings.retain(|finding| finding.path.starts_with("admin"));
    keep(&mut tree, &["admin"]);
    if let Value::Map(sections) = &mut tree.value {
        sections.iter_mut().for_each(|section| keep(&mut section.node, fields));
    }
    Expansion::new(environment, origin.directory(), &source, &mut findings, &mut Vec::new()).expand(&mut tree, &FieldPath::default());
    match decode::decode::<Section>(&mut tree, &mut findings) {
        Some(section) if findings.is_empty() => Ok(section.admin),
        _ => Err(Problems::of(findings, &source, &load::secrets(&source))),
    }
}

/// Leaves only the fields of these names.
fn keep(node: &mut Node, names: &[&str]) {
    if let Value::Map(fields) = &mut node.value {
        fields.retain(|field| names.contains(&field.key.as_str()));
    }
}
