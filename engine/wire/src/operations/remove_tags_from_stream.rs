//! RemoveTagsFromStream: removes tags from a stream.

use crate::call::{Nothing, call};
use crate::shapes::{STREAM_ARN, STREAM_ID, STREAM_NAME, TAG_KEYS};
use crate::structure::structure;

structure! {
    /// A request of RemoveTagsFromStream.
    RemoveTagsFromStream {
        stream_name: Option<String> => "StreamName", STREAM_NAME;
        tag_keys: Vec<String> => "TagKeys", TAG_KEYS;
        stream_arn: Option<String> => "StreamARN", STREAM_ARN;
        stream_id: Option<String> => "StreamId", STREAM_ID;
    }
}

call!(RemoveTagsFromStream => Nothing);
