//! AddTagsToStream: adds tags to a stream, or overwrites them.

use std::collections::BTreeMap;

use crate::call::{Nothing, call};
use crate::shapes::{STREAM_ARN, STREAM_ID, STREAM_NAME, TAG_MAP};
use crate::structure::structure;

structure! {
    /// A request of AddTagsToStream.
    AddTagsToStream {
        stream_name: Option<String> => "StreamName", STREAM_NAME;
        tags: BTreeMap<String, String> => "Tags", TAG_MAP;
        stream_arn: Option<String> => "StreamARN", STREAM_ARN;
        stream_id: Option<String> => "StreamId", STREAM_ID;
    }
}

call!(AddTagsToStream => Nothing);
