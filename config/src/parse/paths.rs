//! Paths of the node file: absolute, since a daemon has no directory of its own.

use core::ops::Range;

use super::fields;
use super::reader::{Reader, Value, quoted};
use crate::limits::{PATH_BYTES_MAX, SOCKET_PATH_BYTES_MAX};

/// The absolute path at `key`.
pub(crate) fn absolute(reader: &mut Reader<'_>, value: &Value<'_>, key: &str) -> Option<String> {
    let path = fields::string(reader, value)?;
    absolute_at(reader, path, &value.span(), key)
}

/// The path of the API's Unix socket.
pub(crate) fn socket(reader: &mut Reader<'_>, value: &Value<'_>) -> Option<String> {
    let path = fields::string(reader, value)?;
    socket_at(reader, path, "socket", &value.span())
}

/// The path of a Unix socket that stands at `span`, as part of `key`.
pub(crate) fn socket_at(
    reader: &mut Reader<'_>,
    path: &str,
    key: &str,
    span: &Range<usize>,
) -> Option<String> {
    let path = absolute_at(reader, path, span, key)?;
    if path.len() > SOCKET_PATH_BYTES_MAX {
        let message = format!("the path has {} bytes", path.len());
        let hint = format!("a Unix socket's path has {SOCKET_PATH_BYTES_MAX} bytes at most");
        reader.error_hint(span, message, hint);
        return None;
    }
    Some(path)
}

fn absolute_at(
    reader: &mut Reader<'_>,
    path: &str,
    span: &Range<usize>,
    key: &str,
) -> Option<String> {
    if !path.starts_with('/') {
        let hint = format!("write `{key}` from the root: \"/…\"");
        reader.error_hint(span, format!("{} is not absolute", quoted(path)), hint);
        return None;
    }
    if path.contains('\0') || path.len() > PATH_BYTES_MAX {
        reader.error(span, format!("{} is no path", quoted(path)));
        return None;
    }
    Some(path.to_owned())
}
