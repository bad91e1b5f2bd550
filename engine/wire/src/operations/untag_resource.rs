//! UntagResource: removes tags from a stream or consumer.

use crate::call::{Nothing, call};
use crate::shapes::{RESOURCE_ARN, STREAM_ID, TAG_KEYS};
use crate::structure::structure;

structure! {
    /// A request of UntagResource.
    UntagResource {
        tag_keys: Vec<String> => "TagKeys", TAG_KEYS;
        resource_arn: String => "ResourceARN", RESOURCE_ARN;
        stream_id: Option<String> => "StreamId", STREAM_ID;
    }
}

call!(UntagResource => Nothing);
