//! `/v1/uploads`: a file in parts.

use bytes::{Bytes, BytesMut};
use http::StatusCode;
use serde_json::{Value, json};

use super::{collections, files, models::CREATED};
use crate::simulator::{
    answer::{Answer, Desk},
    ask::Ask,
    error::{ApiError, INVALID_REQUEST},
    script::Script,
    store::Object,
};

/// The largest file that parts may make together.
const LARGEST_FILE: usize = 64 << 20;

/// The fields of an upload that begins.
pub(super) fn fields(ask: &Ask) -> Result<Value, ApiError> {
    ask.text("filename")?;
    ask.text("purpose")?;
    Ok(json!({ "status": "pending", "expires_at": CREATED + 3600, "file": null }))
}

/// Keeps a part as a file that nobody lists.
pub(super) fn part(desk: &Desk<'_>, home: &str, ask: &Ask) -> Result<Value, ApiError> {
    let upload = home.split('/').nth(1).unwrap_or_default();
    let content = ask.file("data")?.content.clone();
    let id = format!("part_{:016x}", fastrand::u64(..));
    let object = Object { content, ..Object::new(format!("uploads/{upload}/contents"), id.as_str(), Value::Null) };
    desk.provider.store.put(desk.key.owner.account, object);
    Ok(json!({ "id": id, "upload_id": upload }))
}

/// Joins the parts that the request names, in its order.
pub(super) fn complete(desk: &Desk<'_>, upload: &Object, ask: &Ask) -> Answer {
    let gone = |why: &str| ApiError::fixed(StatusCode::BAD_REQUEST, INVALID_REQUEST, None, "").saying(why.to_owned());
    if upload.json["status"] != "pending" {
        return Err(gone("This upload is completed or cancelled."));
    }
    let contents = format!("uploads/{}/contents", upload.id);
    let mut joined = BytesMut::new();
    for id in ask.body["part_ids"].as_array().ok_or_else(|| ApiError::missing("part_ids"))? {
        let part = collections::find(desk, &contents, id.as_str().unwrap_or_default())?;
        joined.extend_from_slice(&part.content);
        if joined.len() > LARGEST_FILE {
            return Err(gone("The file is too large."));
        }
    }
    if upload.json["bytes"].as_u64().is_some_and(|bytes| bytes != joined.len() as u64) {
        return Err(gone("The parts don't have as many bytes as the upload announced."));
    }
    let text = |field: &str| upload.json[field].as_str().unwrap_or_default();
    let file = files::keep(desk, text("filename"), text("purpose"), Bytes::from(joined))?;
    let done = desk.provider.store.update(desk.key.owner.account, "uploads", &upload.id, |json| {
        json["status"] = "completed".into();
        json["file"] = file;
    });
    done.map(|upload| Script::at_once(&collections::view(&upload))).ok_or_else(|| desk.unknown())
}
