//! Paths of the node file: absolute, since a daemon has no directory of its own.

use super::fields;
use super::reader::{Reader, Value, quoted};
use crate::limits::{PATH_BYTES_MAX, SOCKET_PATH_BYTES_MAX};

/// The absolute path at `key`.
pub(crate) fn absolute(reader: &mut Reader<'_>, value: &Value<'_>, key: &str) -> Option<String> {
    let path = fields::string(reader, value)?;
    if !path.starts_with('/') {
        let hint = format!("write `{key}` from the root: \"/…\"");
        reader.error_hint(&value.span(), format!("{} is not absolute", quoted(path)), hint);
        return None;
    }
    if path.contains('\0') || path.len() > PATH_BYTES_MAX {
        reader.error(&value.span(), format!("{} is no path", quoted(path)));
        return None;
    }
    Some(path.to_owned())
}

/// The path of the API's Unix socket.
pub(crate) fn socket(reader: &mut Reader<'_>, value: &Value<'_>) -> Option<String> {
    let path = absolute(reader, value, "socket")?;
    if path.len() > SOCKET_PATH_BYTES_MAX {
        let message = format!("the path has {} bytes", path.len());
        let hint = format!("a Unix socket's path has {SOCKET_PATH_BYTES_MAX} bytes at most");
        reader.error_hint(&value.span(), message, hint);
        return None;
    }
    Some(path)
}
