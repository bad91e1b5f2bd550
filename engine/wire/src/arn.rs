//! ARNs of streams and consumers.
//!
//! ```text
//!     arn:aws:kinesis:REGION:ACCOUNT:stream/NAME
//!     arn:aws:kinesis:REGION:ACCOUNT:stream/NAME/consumer/CONSUMER:CREATION SECONDS
//! ```
//! Whether they match the model's patterns was checked before; these parts are what we can have
//! given out. Anything else names nothing that we have.

use std::fmt;

use model::{AccountId, Region, StreamName};

/// A stream, anywhere.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct StreamArn {
    /// Where.
    pub region: Region,
    /// Whose.
    pub account: AccountId,
    /// Its name.
    pub name: StreamName,
}

/// A consumer of a stream.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ConsumerArn {
    /// The stream.
    pub stream: StreamArn,
    /// The consumer's name, which has a stream's characters.
    pub name: StreamName,
    /// When it was made, Unix seconds.
    pub created_s: u64,
}

impl StreamArn {
    /// `None` where it is no stream's.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (region, account, resource) = split(text)?;
        let name = StreamName::new(resource.strip_prefix("stream/")?).ok()?;
        Some(Self { region, account, name })
    }
}

impl ConsumerArn {
    /// `None` where it is no consumer's.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (region, account, resource) = split(text)?;
        let (name, consumer) = resource.strip_prefix("stream/")?.split_once("/consumer/")?;
        let stream = StreamArn { region, account, name: StreamName::new(name).ok()? };
        let (name, created) = consumer.split_once(':')?;
        let is_number = created.bytes().all(|byte| byte.is_ascii_digit());
        let created_s = created.parse().ok().filter(|_| is_number)?;
        Some(Self { stream, name: StreamName::new(name).ok()?, created_s })
    }
}

/// Region, account and what follows. Which partition it is (`aws`, `aws-cn`) says nothing to us.
fn split(text: &str) -> Option<(Region, AccountId, &str)> {
    let mut parts = text.splitn(6, ':');
    let is_arn = parts.next()? == "arn";
    let partition = parts.next()?;
    // It has a region's characters.
    let is_partition = partition.starts_with("aws") && Region::new(partition).is_some();
    if !is_arn || !is_partition || parts.next()? != "kinesis" {
        return None;
    }
    Some((Region::new(parts.next()?)?, AccountId::new(parts.next()?)?, parts.next()?))
}

impl fmt::Display for StreamArn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { region, account, name } = self;
        write!(f, "arn:aws:kinesis:{region}:{account}:stream/{name}")
    }
}

impl fmt::Display for ConsumerArn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/consumer/{}:{}", self.stream, self.name, self.created_s)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pattern::Pattern;

    #[test]
    fn arns_there_and_back() {
        let text = "arn:aws:kinesis:us-east-1:123456789012:stream/orders";
        assert_eq!(StreamArn::parse(text).unwrap().to_string(), text);
        assert!(Pattern::StreamArn.matches(text));
        let consumer = format!("{text}/consumer/my.app:1700000000");
        assert_eq!(ConsumerArn::parse(&consumer).unwrap().to_string(), consumer);
        assert!(Pattern::ConsumerArn.matches(&consumer));
        assert_eq!(StreamArn::parse(&consumer), None);
        let china = StreamArn::parse("arn:aws-cn:kinesis:cn-north-1:123456789012:stream/orders");
        assert_eq!(china.unwrap().region.as_str(), "cn-north-1");
    }

    #[test]
    fn texts_that_are_no_arns_of_ours() {
        let check = |text: &str| {
            assert_eq!(StreamArn::parse(text), None, "{text}");
            assert_eq!(ConsumerArn::parse(text), None, "{text}");
        };
        check("");
        check("orders");
        check("arn:aws:kinesis:us-east-1:123456789012:stream/");
        check("arn:aws:kinesis:us-east-1:123456789012:stream/a b");
        check("arn:aws:kinesis:us-east-1:12345:stream/orders");
        check("arn:aws:dynamodb:us-east-1:123456789012:stream/orders");
        check("arn:aws:kinesis:US:123456789012:stream/orders");
        check("arn:aws\n:kinesis:us-east-1:123456789012:stream/orders");
        check("arn:aws\n:kinesis:us-east-1:123456789012:stream/orders/consumer/a:17");
        check("arn:aws:kinesis:us-east-1:123456789012:stream/orders/consumer/a");
        check("arn:aws:kinesis:us-east-1:123456789012:stream/orders/consumer/a:+1");
        check(
            "arn:aws:kinesis:us-east-1:123456789012:stream/orders/consumer/a:99999999999999999999",
        );
    }
}
