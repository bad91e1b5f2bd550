//! ListTagsForResource: lists the tags of a stream or consumer.

use crate::call::call;
use crate::shapes::{RESOURCE_ARN, STREAM_ID, list};
use crate::structure::structure;
use crate::structures::Tag;

structure! {
    /// A request of ListTagsForResource.
    ListTagsForResource {
        resource_arn: String => "ResourceARN", RESOURCE_ARN;
        stream_id: Option<String> => "StreamId", STREAM_ID;
    }
}

structure! {
    /// An answer of ListTagsForResource.
    ListTagsForResourceOutput {
        tags: Option<Vec<Tag>> => "Tags", list(&Tag::SHAPE);
    }
}

call!(ListTagsForResource => ListTagsForResourceOutput);
