//! Where a worker keeps what it carries: found by a number that is never given twice, in constant time.

/// Says which, to whoever has to find it again. One that has been removed is not found, even after its place has been given
/// away.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Key {
    place: u32,
    generation: u32,
}

impl Key {
    /// As one number, below 2⁶².
    pub(super) const fn to_bits(self) -> u64 {
        (self.generation as u64) << 31 | self.place as u64
    }

    /// The reverse.
    pub(super) const fn from_bits(bits: u64) -> Self {
        Self { place: (bits & HALF) as u32, generation: (bits >> 31 & HALF) as u32 }
    }
}

/// 31 bits.
const HALF: u64 = (1 << 31) - 1;

/// Things with keys.
#[derive(Debug)]
pub(super) struct Slots<T> {
    slots: Vec<Slot<T>>,
    free: Vec<u32>,
}

#[derive(Debug)]
struct Slot<T> {
    generation: u32,
    content: Option<T>,
}

impl<T> Slots<T> {
    pub(super) const fn new() -> Self {
        Self { slots: Vec::new(), free: Vec::new() }
    }

    /// A key for something that is put there later.
    pub(super) fn reserve(&mut self) -> Key {
        if let Some(place) = self.free.pop() {
            let generation = self.slot(place).map_or(0, |slot| slot.generation);
            return Key { place, generation };
        }
        // More than 2³¹ descriptors no process can have.
        let place = u32::try_from(self.slots.len()).unwrap_or(u32::MAX);
        self.slots.push(Slot { generation: 0, content: None });
        Key { place, generation: 0 }
    }

    /// Puts something where its key says.
    pub(super) fn put(&mut self, key: Key, content: T) {
        if let Some(slot) = self.found(key) {
            slot.content = Some(content);
        }
    }

    /// Takes something out for a while; its place is kept.
    pub(super) fn take(&mut self, key: Key) -> Option<T> {
        self.found(key)?.content.take()
    }

    /// Gives a place away.
    pub(super) fn release(&mut self, key: Key) {
        if let Some(slot) = self.found(key) {
            slot.content = None;
            slot.generation = slot.generation.wrapping_add(1) & (u32::MAX >> 1);
            self.free.push(key.place);
        }
    }

    fn found(&mut self, key: Key) -> Option<&mut Slot<T>> {
        self.slot(key.place).filter(|slot| slot.generation == key.generation)
    }

    fn slot(&mut self, place: u32) -> Option<&mut Slot<T>> {
        self.slots.get_mut(usize::try_from(place).ok()?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_been_released_is_not_found_in_the_place_of_another() {
        let mut slots = Slots::new();
        let first = slots.reserve();
        slots.put(first, 'a');
        assert_eq!(slots.take(first), Some('a'));
        assert_eq!(slots.take(first), None, "it is out");
        slots.put(first, 'a');
        slots.release(first);
        let second = slots.reserve();
        assert_ne!(first, second);
        slots.put(second, 'b');
        assert_eq!((slots.take(first), slots.take(second)), (None, Some('b')));
        slots.release(first);
        assert_ne!(slots.reserve(), second, "releasing twice gives nothing away");
    }

    #[test]
    fn keys_survive_as_numbers() {
        let all = [Key { place: 0, generation: 0 }, Key { place: u32::MAX >> 1, generation: u32::MAX >> 1 }];
        for key in all {
            assert_eq!(Key::from_bits(key.to_bits()), key);
            assert!(key.to_bits() < 1 << 62);
        }
    }
}
