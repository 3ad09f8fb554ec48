//! What people write in a live chat: several languages, moods and lengths.

use rand::Rng;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;

/// Tries at a text that its author has not used yet; then one is marked to be different.
const TRIES: usize = 12;

/// One in so many messages ends with an emoji more.
const EMOJI_ONE_IN: u32 = 4;

const TEXTS: [&str; 84] = [
    "hello everyone 👋",
    "first time here, this is so good",
    "the sound is crystal clear today",
    "greetings from Lisbon!",
    "that transition though",
    "can you play the one from last week?",
    "who else is at work right now 😅",
    "okay that gave me goosebumps",
    "louder please!",
    "what microphone is that?",
    "I told my sister to tune in, she is here too",
    "the lighting is beautiful",
    "brb getting coffee ☕",
    "back, what did I miss?",
    "you made my evening",
    "this part is my favourite",
    "how long have you been practising this?",
    "the chat is so kind tonight",
    "2:30 am here and I regret nothing",
    "please do a series on this",
    "take a sip of water 💧",
    "that was smooth",
    "I can't believe this is live",
    "show us the setup!",
    "is there a recording later?",
    "you should be on a bigger stage",
    "my cat is watching too 🐈",
    "wait, how did you do that?",
    "haha that face",
    "respect for taking questions",
    "one more, one more!",
    "this deserves more viewers",
    "I come here after every long day",
    "the bass at the end 🔊",
    "let's gooo",
    "no way 😂",
    "that's exactly what I needed to hear",
    "could you explain that once more, slowly?",
    "thank you for doing this every week",
    "rewinding in my head",
    "hallo aus Hamburg!",
    "das ist ja großartig",
    "kannst du das noch einmal zeigen?",
    "endlich Feierabend, und dann das hier",
    "wie lange übst du schon?",
    "Gänsehaut pur",
    "bonsoir à tous !",
    "c'est magnifique, merci",
    "on t'entend parfaitement ici",
    "encore une, s'il te plaît",
    "salut de Montréal 🍁",
    "j'adore cette ambiance",
    "¡qué maravilla!",
    "saludos desde Bogotá",
    "otra, otra, otra",
    "me encanta cómo suena",
    "¿habrá grabación?",
    "buenas noches desde Sevilla 🌙",
    "boa noite, pessoal!",
    "que energia boa hoje",
    "arrasou demais 👏",
    "saudações de Recife",
    "ciao a tutti da Torino",
    "che meraviglia, davvero",
    "ancora una, dai!",
    "こんばんは!",
    "すごくきれいな音ですね",
    "初見です、よろしくお願いします",
    "最高のライブをありがとう",
    "안녕하세요 서울에서 보고 있어요",
    "오늘 진짜 최고예요",
    "한 곡만 더 해주세요",
    "大家好,第一次来",
    "太好听了吧",
    "晚上好,来自台北",
    "привет из Риги!",
    "это просто волшебно",
    "ещё одну, пожалуйста",
    "cześć z Krakowa",
    "świetna robota, naprawdę",
    "مساء الخير من عمّان",
    "رائع جدا 👏",
    "नमस्ते दिल्ली से 🙏",
    "बहुत बढ़िया!",
];

const EMOJI: [&str; 16] =
    ["🔥", "❤️", "😍", "🎉", "👏", "😂", "🙌", "✨", "💯", "🎶", "🥹", "😮", "🤝", "🌊", "⭐", "👀"];

const HOST_TEXTS: [&str; 12] = [
    "Welcome, everyone! Tell me where you are watching from.",
    "Give me a minute to tune, then we begin.",
    "I see so many new names tonight, thank you for coming.",
    "This next one is for those who were here last week.",
    "Questions? Write them now, I read all of them.",
    "Thank you for the tips, you are keeping this going!",
    "Turning the quality up, tell me if it stutters.",
    "A short pause for water. 💧",
    "Yes, there will be a recording.",
    "You asked for it, so here it is.",
    "Last one for tonight!",
    "Thank you all. See you next week, same time. ❤️",
];

const TIP_WORDS: [&str; 10] = [
    "Keep up the great work!",
    "for the new strings",
    "worth every cent",
    "coffee is on me ☕",
    "merci pour tout",
    "für die gute Laune",
    "gracias por tanto",
    "最高!",
    "play it again 🎶",
    "see you next week",
];

const NAMES: [&str; 24] = [
    "mia", "noah", "sofia", "liam", "yuki", "amara", "jonas", "ines", "mateo", "aylin", "ravi", "lena",
    "tomasz", "chloe", "omar", "hana", "diego", "freya", "kofi", "nadia", "pavel", "zoe", "minh", "elif",
];

/// A viewer's shown name.
pub(super) fn name(number: u32, dice: &mut StdRng) -> String {
    format!("{}_{number}", pick(&NAMES, dice))
}

/// The host's messages, in order, over and over.
pub(super) fn host(number: usize) -> String {
    let text = HOST_TEXTS[number % HOST_TEXTS.len()];
    match number / HOST_TEXTS.len() {
        0 => text.to_owned(),
        again => format!("{text} ({})", again + 1),
    }
}

/// What comes with a tip, or nothing.
pub(super) fn tip_words(dice: &mut StdRng) -> Option<String> {
    dice.random_bool(0.6).then(|| pick(&TIP_WORDS, dice).to_owned())
}

/// A text that is not among `used`.
pub(super) fn message(used: &[String], dice: &mut StdRng) -> String {
    for _ in 0..TRIES {
        let text = draw(dice);
        if !used.contains(&text) {
            return text;
        }
    }
    format!("{} ({})", draw(dice), used.len() + 1)
}

fn draw(dice: &mut StdRng) -> String {
    let text = pick(&TEXTS, dice);
    if dice.random_ratio(1, EMOJI_ONE_IN) {
        format!("{text} {}", pick(&EMOJI, dice))
    } else {
        text.to_owned()
    }
}

fn pick(from: &'static [&'static str], dice: &mut StdRng) -> &'static str {
    // none of the lists is empty
    from.choose(dice).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;
    use std::collections::HashSet;

    #[test]
    fn nobody_repeats_himself() {
        let mut dice = StdRng::seed_from_u64(7);
        let mut used = Vec::new();
        for _ in 0..2_000 {
            used.push(message(&used, &mut dice));
        }
        assert_eq!(used.iter().collect::<HashSet<_>>().len(), used.len());
        assert!(used.iter().all(|text| (1..=500).contains(&text.chars().count())));
        assert_ne!(host(0), host(HOST_TEXTS.len()));
    }
}
