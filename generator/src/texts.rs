//! What people write, by language, and what shows are called.

use crate::dice::Dice;

/// One message in so many, roughly, ends with an emoji.
const EMOJI_SHARE: f64 = 0.22;

/// One message in so many, roughly, is nothing but emoji.
const BARE_EMOJI_SHARE: f64 = 0.06;

/// One message in so many, roughly, has a web address.
const LINK_SHARE: f64 = 0.006;

/// Each language's name here, and what is written in it. `{n}` is a small number, `{c}` the creator, `{p}` somebody's place.
const LANGUAGES: [(&str, &[&str]); 12] = [
    (
        "en",
        &[
            "hello everyone",
            "first time here, this is so good",
            "the sound is crystal clear today",
            "greetings from {p}!",
            "that transition though",
            "can you play the one from last week?",
            "who else is at work right now",
            "okay that gave me goosebumps",
            "louder please!",
            "what microphone is that?",
            "the lighting is beautiful",
            "brb getting coffee",
            "back, what did I miss?",
            "you made my evening, {c}",
            "this part is my favourite",
            "how long have you been practising this?",
            "the chat is so kind tonight",
            "please do a series on this",
            "I can't believe this is live",
            "is there a recording later?",
            "wait, how did you do that?",
            "haha that face",
            "one more, one more!",
            "this deserves more viewers",
            "no way",
            "that's exactly what I needed to hear",
            "could you explain that once more, slowly?",
            "I have been watching for {n} months now",
            "lol",
            "gg",
            "let's gooo",
            "take {n}!",
            "is it {n} or {n}?",
            "{c} never disappoints",
            "we are {n} watching in one room here",
        ],
    ),
    (
        "es",
        &[
            "¡qué maravilla!",
            "saludos desde {p}",
            "otra, otra, otra",
            "me encanta cómo suena",
            "¿habrá grabación?",
            "buenas noches a todos",
            "llevo {n} horas esperando esto",
            "eres increíble, {c}",
            "no me lo puedo creer",
            "¿cómo se llama esa canción?",
            "jajaja",
            "más fuerte por favor",
            "la mejor parte de mi semana",
            "grande {c}",
        ],
    ),
    (
        "pt",
        &[
            "boa noite, pessoal!",
            "que energia boa hoje",
            "arrasou demais",
            "saudações de {p}",
            "toca mais uma, por favor",
            "cheguei agora, o que eu perdi?",
            "isso é lindo demais",
            "kkkkk",
            "faz {n} semanas que eu espero por isso",
            "melhor live da semana",
            "obrigado por tudo, {c}",
            "qual é o nome dessa música?",
        ],
    ),
    (
        "de",
        &[
            "hallo aus {p}!",
            "das ist ja großartig",
            "kannst du das noch einmal zeigen?",
            "endlich Feierabend, und dann das",
            "wie lange übst du schon?",
            "Gänsehaut pur",
            "der Ton ist heute wirklich klasse",
            "bin seit {n} Monaten dabei",
            "danke, {c}, das hat mir sehr geholfen",
            "gibt es das später als Aufzeichnung?",
            "haha, stark",
            "etwas lauter bitte",
        ],
    ),
    (
        "fr",
        &[
            "bonsoir à tous !",
            "c'est magnifique, merci",
            "on t'entend parfaitement ici",
            "encore une, s'il te plaît",
            "salut de {p}",
            "j'adore cette ambiance",
            "tu fais ça depuis combien de temps ?",
            "mdr",
            "la meilleure émission de la semaine",
            "bravo {c}, vraiment",
            "il y aura une rediffusion ?",
            "ça fait {n} fois déjà",
        ],
    ),
    (
        "it",
        &[
            "ciao a tutti da {p}",
            "che meraviglia, davvero",
            "ancora una, dai!",
            "si sente benissimo stasera",
            "grande {c}, come sempre",
            "da quanto tempo ti eserciti?",
            "ahahah",
            "la registrazione si potrà vedere dopo?",
            "aspettavo da {n} giorni",
            "che emozione questa parte",
        ],
    ),
    (
        "ja",
        &[
            "こんばんは!",
            "すごくきれいな音ですね",
            "初見です、よろしくお願いします",
            "最高のライブをありがとう",
            "{p}から見ています",
            "もう一曲お願いします",
            "今日も楽しみにしていました",
            "うますぎる",
            "草",
            "{n}回目の参加です",
        ],
    ),
    (
        "ko",
        &[
            "안녕하세요 {p}에서 보고 있어요",
            "오늘 진짜 최고예요",
            "한 곡만 더 해주세요",
            "소리가 정말 좋네요",
            "ㅋㅋㅋ",
            "처음 왔어요 반갑습니다",
            "{n}시간 동안 기다렸어요",
            "녹화 영상도 올라오나요?",
            "너무 잘한다",
        ],
    ),
    (
        "hi",
        &[
            "नमस्ते {p} से",
            "बहुत बढ़िया!",
            "एक और सुनाइए",
            "आवाज़ बहुत साफ़ आ रही है",
            "आज का शो सबसे अच्छा है",
            "मैं {n} महीने से देख रहा हूँ",
            "क्या इसकी रिकॉर्डिंग मिलेगी?",
            "शाबाश {c}",
        ],
    ),
    (
        "pl",
        &[
            "cześć z {p}",
            "świetna robota, naprawdę",
            "jeszcze jeden, proszę",
            "dźwięk jest dzisiaj doskonały",
            "hahaha",
            "oglądam od {n} miesięcy",
            "będzie nagranie?",
            "dzięki {c}, tego potrzebowałem",
            "pierwszy raz tutaj, super klimat",
        ],
    ),
    (
        "tr",
        &[
            "{p}'dan selamlar",
            "harika bir yayın olmuş",
            "bir tane daha lütfen",
            "ses bugün çok güzel",
            "ilk defa geldim, merhaba",
            "{n} haftadır bekliyordum",
            "kaydı sonra izleyebilir miyiz?",
            "eline sağlık {c}",
            "bu bölüm en sevdiğim",
        ],
    ),
    (
        "ar",
        &[
            "مساء الخير من {p}",
            "رائع جدا",
            "واحدة أخرى من فضلك",
            "الصوت واضح اليوم",
            "أول مرة هنا، أهلا بالجميع",
            "أتابعك منذ {n} أشهر",
            "هل سيكون هناك تسجيل؟",
            "شكرا {c}",
        ],
    ),
];

const EMOJI: [&str; 18] = [
    "🔥", "❤️", "😍", "🎉", "👏", "😂", "🙌", "✨", "💯", "🎶", "🥹", "😮", "🤝", "🌊", "⭐", "👀", "👍🏽",
    "🇧🇷",
];

const HOST_LINES: [&str; 16] = [
    "Welcome, everyone! Tell me where you are watching from.",
    "Give me a minute, then we begin.",
    "I see so many new names, thank you for coming.",
    "This next one is for those who were here last week.",
    "Questions? Write them now, I read all of them.",
    "Thank you for the tips, you are keeping this going!",
    "Tell me if it stutters.",
    "A short pause for water. 💧",
    "Yes, there will be a recording.",
    "You asked for it, so here it is.",
    "Last one for today!",
    "Thank you all. See you next time. ❤️",
    "That was take {n}.",
    "Let me try that once more.",
    "Who can guess what comes next?",
    "{n} minutes to go.",
];

const TIP_WORDS: [&str; 12] = [
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
    "obrigado, {c}",
    "take {n} of many",
];

/// Categories, and in each what shows are called.
pub(crate) const CATEGORIES: [(&str, &[&str]); 8] = [
    (
        "music",
        &[
            "Night jazz",
            "Songs from the kitchen",
            "Acoustic requests",
            "Loops until midnight",
            "Piano and rain",
        ],
    ),
    (
        "gaming",
        &["Ranked, one more", "Blind playthrough", "Speedrun practice", "Co-op with chat", "Indie evening"],
    ),
    (
        "talk",
        &["Open mic with everyone", "What happened this week", "Ask me anything", "Coffee and questions"],
    ),
    ("art", &["Watercolour hour", "Sketching your ideas", "Clay and calm", "Drawing portraits"]),
    ("cooking", &["Dinner from leftovers", "Bread day", "Street food at home", "One pan, five spices"]),
    ("science", &["Live from the lab", "Reading a paper together", "Build a radio", "Stars tonight"]),
    ("sports", &["Match review", "Morning run, live", "Training plan clinic", "Second half together"]),
    ("learning", &["Rust for the patient", "Spanish in small steps", "Mathematics by hand", "Chess endings"]),
];

const FIRST_NAMES: [&str; 30] = [
    "mia", "noah", "sofia", "liam", "yuki", "amara", "jonas", "ines", "mateo", "aylin", "ravi", "lena",
    "tomasz", "chloe", "omar", "hana", "diego", "freya", "kofi", "nadia", "pavel", "zoe", "minh", "elif",
    "otto", "ada", "samir", "lucia", "bruno", "keiko",
];

const SECOND_NAMES: [&str; 20] = [
    "fox", "river", "pixel", "moon", "falcon", "lemon", "comet", "cedar", "otter", "ember", "quartz",
    "sparrow", "mango", "storm", "pebble", "tulip", "raven", "saffron", "harbor", "willow",
];

/// A person's shown name.
pub(crate) fn name(dice: &mut Dice) -> String {
    let (first, second) = (*dice.pick(&FIRST_NAMES), *dice.pick(&SECOND_NAMES));
    match dice.below(4) {
        0 => format!("{first}_{second}"),
        1 => format!("{first}{}", 70 + dice.below(40)),
        2 => format!("{second}{first}"),
        _ => format!("{first}_{second}{}", dice.below(1_000)),
    }
}

/// A creator's shown name.
pub(crate) fn creator_name(dice: &mut Dice) -> String {
    let (first, second) = (*dice.pick(&FIRST_NAMES), *dice.pick(&SECOND_NAMES));
    format!("{} {}", capitalised(first), capitalised(second))
}

fn capitalised(name: &str) -> String {
    name.chars().take(1).flat_map(char::to_uppercase).chain(name.chars().skip(1)).collect()
}

/// A show's title.
pub(crate) fn title(category: usize, number: u64, dice: &mut Dice) -> String {
    let title = *dice.pick(CATEGORIES[category % CATEGORIES.len()].1);
    if dice.chance(0.4) { format!("{title} #{number}") } else { title.to_owned() }
}

/// Whether anything can be written in a language.
#[cfg(test)]
pub(crate) fn has(language: &str) -> bool {
    LANGUAGES.iter().any(|(name, _)| *name == language)
}

/// Around whom and where a text is written.
pub(crate) struct Setting<'a> {
    pub(crate) creator: &'a str,
    pub(crate) place: &'a str,
}

/// A message in a language.
pub(crate) fn message(language: &str, setting: &Setting<'_>, dice: &mut Dice) -> String {
    if dice.chance(BARE_EMOJI_SHARE) {
        let one = *dice.pick(&EMOJI);
        return one.repeat(1 + dice.index(4));
    }
    let known = LANGUAGES.iter().find(|(name, _)| *name == language);
    // every country's languages are here; a test says so
    let lines = known.map_or(LANGUAGES[0].1, |(_, lines)| lines);
    let line = *dice.pick(lines);
    let mut text = filled(line, setting, dice);
    if dice.chance(EMOJI_SHARE) {
        text.push(' ');
        text.push_str(&dice.pick(&EMOJI).repeat(1 + dice.index(3)));
    }
    if dice.chance(LINK_SHARE) {
        text.push_str(&format!(" https://example.com/{}", dice.below(100_000)));
    }
    text
}

pub(crate) fn host_line(setting: &Setting<'_>, dice: &mut Dice) -> String {
    let line = *dice.pick(&HOST_LINES);
    filled(line, setting, dice)
}

/// What comes with a tip, or nothing.
pub(crate) fn tip_words(setting: &Setting<'_>, dice: &mut Dice) -> Option<String> {
    let words = *dice.pick(&TIP_WORDS);
    dice.chance(0.6).then(|| filled(words, setting, dice))
}

fn filled(template: &str, setting: &Setting<'_>, dice: &mut Dice) -> String {
    let mut text = template.replace("{c}", setting.creator).replace("{p}", setting.place);
    while text.contains("{n}") {
        text = text.replacen("{n}", &(2 + dice.below(11)).to_string(), 1);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dice::Seed;

    #[test]
    fn texts_are_what_the_edge_would_take() {
        let mut dice = Seed::of("test", &[]).dice("texts", &[]);
        let setting = Setting { creator: "Ada Fox", place: "Jena" };
        for (language, _) in LANGUAGES {
            for _ in 0..500 {
                let text = message(language, &setting, &mut dice);
                assert!((1..=500).contains(&text.chars().count()), "{text}");
                assert!(!text.contains('{') && text.trim() == text, "{text}");
            }
        }
    }
}
