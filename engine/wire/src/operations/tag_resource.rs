//! TagResource: adds tags to a stream or consumer, or overwrites them.

use std::collections::BTreeMap;

use crate::call::{Nothing, call};
use crate::shapes::{RESOURCE_ARN, STREAM_ID, TAG_MAP};
use crate::structure::structure;

structure! {
    /// A request of TagResource.
    TagResource {
        tags: BTreeMap<String, String> => "Tags", TAG_MAP;
        resource_arn: String => "ResourceARN", RESOURCE_ARN;
        stream_id: Option<String> => "StreamId", STREAM_ID;
    }
}

call!(TagResource => Nothing);
