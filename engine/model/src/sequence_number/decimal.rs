//! 186 bits to 56 decimal digits and back, without a division.
//!
//! A put prints one number for every record, and the division of 128 bits is a call into the
//! compiler's library. So: three limbs by multiplication with reciprocals, then the digits eight at
//! a time within a 64-bit word.
//!
//! ```text
//!     N = (top * 10^19 + middle) * 10^19 + low        top 18 digits, middle 19, low 19
//! ```
//!
//! This file knows numbers, not sequence numbers.

/// Digits of every number from 10^55 to 10^56 - 1, among them all whose top bit is bit 185.
pub(super) const DIGITS: usize = 56;

/// A number `high * 2^128 + low`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Wide {
    pub(super) high: u64,
    pub(super) low: u128,
}

const TOP_DIGITS: usize = 18;
const LIMB_DIGITS: usize = 19;
const LIMB: u64 = 10_u64.pow(19);
const LIMB_SQUARED: u128 = 10_u128.pow(38);

const _: () = assert!(TOP_DIGITS + 2 * LIMB_DIGITS == DIGITS);

/// floor(2^190 / 10^38), for numbers given by their bits 122 and up.
const RECIPROCAL_OF_SQUARE: u64 = reciprocal(190, LIMB_SQUARED);
/// floor(2^127 / 10^19), for numbers given by their bits 63 and up.
const RECIPROCAL_OF_LIMB: u64 = reciprocal(127, LIMB as u128);

/// floor(2^exponent / divisor) by long division. An overflow would stop the compiler.
const fn reciprocal(exponent: u32, divisor: u128) -> u64 {
    let mut quotient = 0_u64;
    let mut rest = 1_u128;
    let mut digit = 0;
    while digit < exponent {
        quotient *= 2;
        rest *= 2;
        if rest >= divisor {
            quotient += 1;
            rest -= divisor;
        }
        digit += 1;
    }
    quotient
}

/// Writes a number below 2^186, leading zeros included.
pub(super) fn write(number: Wide, text: &mut [u8; DIGITS]) {
    assert!(number.high < 1 << 58);
    let (top, rest) = divide_by_square(number);
    let (middle, low) = divide_by_limb(rest);
    // Each limb's first digits overlap the zeros of what is written after it: right to left.
    write_limb(low, text, DIGITS);
    write_limb(middle, text, DIGITS - LIMB_DIGITS);
    write_top(top, text);
}

/// Reads 56 ASCII digits; what they stand for is below 10^56 and so below 2^187.
pub(super) fn read(text: &[u8; DIGITS]) -> Wide {
    let (top, rest) = text.split_at(TOP_DIGITS);
    let (middle, low) = rest.split_at(LIMB_DIGITS);
    let [top, middle, low] = [top, middle, low].map(|digits| u128::from(read_limb(digits)));
    let rest = middle * u128::from(LIMB) + low;
    // top * 10^38 in two halves of 10^38, because the product has 187 bits.
    let half = 1_u128 << 64;
    let upper = top * (LIMB_SQUARED / half);
    let lower = top * (LIMB_SQUARED % half);
    let (low, carry_of_lower) = (upper << 64).overflowing_add(lower);
    let (low, carry_of_rest) = low.overflowing_add(rest);
    let high = u64::try_from(upper >> 64).expect("10^56 has 187 bits");
    Wide { high: high + u64::from(carry_of_lower) + u64::from(carry_of_rest), low }
}

/// N as `top * 10^38 + rest`.
///
/// With t = floor(N / 2^122) < 2^64 the estimate floor(t * R / 2^68), R = floor(2^190 / 10^38), is
/// never above N / 10^38, and below it by less than 2^122 / 10^38 (what t drops) + t / 2^68 (what R
/// drops) + 1 (the floor) < 0.06 + 0.07 + 1: it is the quotient or one less.
fn divide_by_square(number: Wide) -> (u64, u128) {
    let t = number.high << 6 | low_64(number.low >> 122);
    let estimate = low_64((u128::from(t) * u128::from(RECIPROCAL_OF_SQUARE)) >> 68);
    // The rest is below 2 * 10^38 < 2^128, so that bits 128 and up of both sides cancel out.
    let rest = number.low.wrapping_sub(u128::from(estimate).wrapping_mul(LIMB_SQUARED));
    let is_low = rest >= LIMB_SQUARED;
    let top = estimate + u64::from(is_low);
    let rest = if is_low { rest - LIMB_SQUARED } else { rest };
    assert!(rest < LIMB_SQUARED);
    (top, rest)
}

/// A number below 10^38 as `middle * 10^19 + low`.
///
/// As above with t = floor(number / 2^63) < 2^64: the estimate floor(t * R / 2^64) falls short by
/// less than 2^63 / 10^19 + t / 2^64 + 1 < 0.93 + 1 + 1: it is the quotient, or up to two less.
fn divide_by_limb(number: u128) -> (u64, u64) {
    assert!(number < LIMB_SQUARED);
    let t = low_64(number >> 63);
    let estimate = low_64((u128::from(t) * u128::from(RECIPROCAL_OF_LIMB)) >> 64);
    let mut middle = estimate;
    let mut low = number - u128::from(estimate) * u128::from(LIMB);
    for _ in 0..2 {
        // Without a branch: which way it goes is as good as random.
        let is_low = low >= u128::from(LIMB);
        middle += u64::from(is_low);
        low -= u128::from(LIMB) * u128::from(is_low);
    }
    assert!(low < u128::from(LIMB));
    (middle, low_64(low))
}

/// Writes 19 digits that end before `end`; the five places before those become zeros.
fn write_limb(limb: u64, text: &mut [u8; DIGITS], end: usize) {
    assert!(limb < LIMB);
    let [first, second, third] = eights(limb);
    text[end - 24..end - 16].copy_from_slice(&first);
    text[end - 16..end - 8].copy_from_slice(&second);
    text[end - 8..end].copy_from_slice(&third);
}

/// Writes the first 18 digits.
fn write_top(top: u64, text: &mut [u8; DIGITS]) {
    assert!(top < 10_u64.pow(18));
    let [first, second, third] = eights(top);
    text[..2].copy_from_slice(&first[6..]);
    text[2..10].copy_from_slice(&second);
    text[10..18].copy_from_slice(&third);
}

/// The 24 last digits of a number, eight by eight, most significant first.
fn eights(number: u64) -> [[u8; 8]; 3] {
    const EIGHT: u64 = 10_u64.pow(8);
    let upper = number / EIGHT;
    [eight_digits(upper / EIGHT), eight_digits(upper % EIGHT), eight_digits(number % EIGHT)]
}

/// Eight digits by halving: two groups of four digits in the word's halves, four of two in its
/// quarters, eight of one in its bytes. The multiplications are exact divisions for such small
/// numbers: by 100 below 10,000 (10486 / 2^20), by 10 below 100 (103 / 2^10).
fn eight_digits(number: u64) -> [u8; 8] {
    assert!(number < 10_u64.pow(8));
    let fours = (number / 10_000) | ((number % 10_000) << 32);
    let hundreds = (fours * 10_486) >> 20 & 0x0000_007f_0000_007f;
    let twos = hundreds | (fours - hundreds * 100) << 16;
    let tens = (twos * 103) >> 10 & 0x000f_000f_000f_000f;
    let ones = tens | (twos - tens * 10) << 8;
    (ones | 0x3030_3030_3030_3030).to_le_bytes()
}

fn read_limb(digits: &[u8]) -> u64 {
    assert!(digits.len() <= LIMB_DIGITS);
    digits.iter().fold(0, |number, digit| {
        assert!(digit.is_ascii_digit());
        number * 10 + u64::from(digit - b'0')
    })
}

fn low_64(number: u128) -> u64 {
    u64::try_from(number & u128::from(u64::MAX)).expect("masked to 64 bits")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Random;

    /// Long division, digit by digit, with the compiler's own arithmetic.
    fn plain(number: Wide) -> String {
        let (mut high, mut low) = (u128::from(number.high), number.low);
        let mut digits = [0; DIGITS];
        for digit in digits.iter_mut().rev() {
            let upper = (high % 10) << 64 | low >> 64;
            let lower = (upper % 10) << 64 | low & u128::from(u64::MAX);
            high /= 10;
            low = ((upper / 10) << 64) | (lower / 10);
            *digit = b'0' + u8::try_from(lower % 10).unwrap();
        }
        String::from_utf8(digits.to_vec()).unwrap()
    }

    fn check(number: Wide) {
        let mut text = [0; DIGITS];
        write(number, &mut text);
        assert_eq!(str::from_utf8(&text).unwrap(), plain(number), "{number:?}");
        assert_eq!(read(&text), number);
    }

    #[test]
    fn numbers_of_every_magnitude() {
        let mut random = Random::new(1);
        for _ in 0..100_000 {
            let high = random.of_bits(58);
            check(Wide { high, low: random.u128() >> random.below(128) });
        }
    }

    /// What an estimate that is too low must survive: multiples of the limbs and their neighbours.
    #[test]
    fn numbers_beside_the_edges_of_limbs() {
        let mut random = Random::new(2);
        for _ in 0..100_000 {
            let top = u128::from(random.of_bits(60) % 10_u64.pow(17));
            let middle = u128::from(random.of_bits(64) % LIMB) * u128::from(random.below(2));
            let upper = top * (LIMB_SQUARED >> 64);
            let lower = top * (LIMB_SQUARED & u128::from(u64::MAX));
            let (low, carry) = (upper << 64).overflowing_add(lower);
            let high = u64::try_from(upper >> 64).unwrap() + u64::from(carry);
            let (low, carry) = low.overflowing_add(middle * u128::from(LIMB));
            let number = Wide { high: high + u64::from(carry), low };
            check(number);
            check(Wide { low: number.low.saturating_add(1), ..number });
            check(Wide { low: number.low.saturating_sub(1), ..number });
        }
        for high in [0, 1, 1 << 57, (1 << 58) - 1] {
            for low in [0, 1, u128::MAX - 1, u128::MAX] {
                check(Wide { high, low });
            }
        }
    }

    #[test]
    fn every_group_of_four_digits() {
        for number in 0..10_000 {
            let digits = |number: u64| format!("{number:08}").into_bytes();
            assert_eq!(eight_digits(number).as_slice(), digits(number));
            assert_eq!(eight_digits(number * 10_000).as_slice(), digits(number * 10_000));
        }
    }
}
