"""Sentence templates of the pretraining text about countries, numbers and the calendar; `corpus` fills them in.

Slots of a country: {t} is the prefix of a present-tense verb (ت or ي), {s} the ending of a past one (ت or nothing),
{ha} the attached pronoun (ها or ه) and {he} the free one (هي or هو): a country is feminine or masculine as its row
says. [x|y] reads x for a man and y for a woman. No template asks a question: the facts are read as prose here, and
asked for the first time in fine-tuning. Longer than our other files, because it is text and no logic.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Relation:
    """Paraphrases of one fact. `nominal` and `verbal` name the country; `later` may lean on a sentence before it."""

    nominal: tuple[str, ...]
    verbal: tuple[str, ...]
    later: tuple[str, ...]


CAPITAL = Relation(
    nominal=(
        "عاصمة {name} هي {capital}",
        "{capital} هي عاصمة {name}",
        "{capital} عاصمة {name}",
        "اسم عاصمة {name} هو {capital}",
        "{name} دولة عاصمتها {capital}",
        "{name} بلد عاصمته {capital}",
        "المدينة التي اتخذ{s}ها {name} عاصمة ل{ha} هي {capital}",
        "{city} هي العاصمة في {name}",
        "العاصمة في {name} هي {capital}",
        "من يذكر {capital} يذكر {name}، فهي عاصمت{ha}",
    ),
    verbal=(
        "تقع {city} في {name}، وهي عاصمت{ha}",
        "{t}تخذ {name} {city} عاصمة ل{ha}",
        "يعرف طلاب الجغرافيا أن {capital} هي عاصمة {name}",
        "نقرأ في الأطلس أن عاصمة {name} هي {capital}",
        "يكتب اسم {capital} على الخريطة بخط بارز لأنها عاصمة {name}",
        "تحمل {city} لقب العاصمة في {name}",
    ),
    later=(
        "وعاصمت{ha} {capital}",
        "وعاصمت{ha} هي {capital}",
        "أما عاصمت{ha} فهي {capital}",
        "أما عاصمة {name} فهي {capital}",
        "كما أن عاصمت{ha} هي {capital}",
        "وعاصمة {name} هي {capital}",
        "و{capital} هي عاصمت{ha}",
    ),
)

CURRENCY = Relation(
    nominal=(
        "عملة {name} هي {currency}",
        "العملة الرسمية في {name} هي {currency}",
        "العملة المستخدمة في {name} هي {currency}",
        "{currency} {currency_he} عملة {name}",
        "{currency} {currency_he} العملة المتداولة في {name}",
        "عملة {name} الرسمية هي {currency}",
        "{name} دولة عملتها {currency}",
        "العملة التي يدفع بها الناس في {name} هي {currency}",
        "الأسعار في {name} مكتوبة ب{currency}",
        "اسم العملة في {name} هو {currency}",
    ),
    verbal=(
        "{t}ستخدم {name} {currency} عملة رسمية",
        "{t}تعامل {name} ب{currency}",
        "يدفع الناس ثمن مشترياتهم في {name} ب{currency}",
        "تحسب الأسعار في أسواق {name} ب{currency}",
        "يشتري المسافر إلى {name} حاجاته ب{currency}",
        "يتقاضى العاملون في {name} أجورهم ب{currency}",
    ),
    later=(
        "وعملت{ha} {currency}",
        "وعملت{ha} هي {currency}",
        "أما عملت{ha} فهي {currency}",
        "أما عملة {name} فهي {currency}",
        "كما أن عملت{ha} الرسمية هي {currency}",
        "وعملة {name} هي {currency}",
        "و{currency} {currency_he} عملت{ha}",
    ),
)

CONTINENT = Relation(
    nominal=(
        "{name} دولة تقع في قارة {continent}",
        "{name} من دول قارة {continent}",
        "{name} بلد في {continent}",
        "القارة التي {t}قع فيها {name} هي {continent}",
        "{continent} هي القارة التي {t}قع فيها {name}",
        "{name} إحدى دول {continent}",
        "قارة {name} هي {continent}",
        "موقع {name} على الخريطة في قارة {continent}",
    ),
    verbal=(
        "{t}قع {name} في قارة {continent}",
        "{t}نتمي {name} إلى قارة {continent}",
        "{t}وجد {name} في قارة {continent}",
        "تضم قارة {continent} دولاً كثيرة منها {name}",
        "نجد {name} على خريطة {continent}",
        "{t}عد {name} من دول {continent}",
    ),
    later=(
        "و{t}قع في قارة {continent}",
        "و{t}قع {name} في قارة {continent}",
        "و{t}نتمي إلى قارة {continent}",
        "أما قارت{ha} فهي {continent}",
        "و{he} من دول {continent}",
        "كما {t}نتمي {name} إلى قارة {continent}",
    ),
)

LANGUAGE = Relation(
    nominal=(
        "اللغة الرسمية في {name} هي {language}",
        "لغة {name} الرسمية هي {language}",
        "{language} هي اللغة الرسمية في {name}",
        "{full_language} هي لغة {name} الرسمية",
        "{language} لغة رسمية في {name}",
        "{name} دولة لغتها الرسمية {language}",
        "لغة الوثائق الرسمية في {name} هي {language}",
        "اللغة التي تكتب بها القوانين في {name} هي {language}",
    ),
    verbal=(
        "{t}عتمد {name} {full_language} لغة رسمية",
        "{t}تخذ {name} {full_language} لغة رسمية ل{ha}",
        "تكتب الدوائر الحكومية في {name} معاملاتها ب{full_language}",
        "تصدر الوثائق الرسمية في {name} ب{full_language}",
        "تعد {full_language} اللغة الرسمية في {name}",
    ),
    later=(
        "ولغت{ha} الرسمية هي {language}",
        "ولغت{ha} الرسمية {language}",
        "أما لغت{ha} الرسمية فهي {language}",
        "كما أن لغت{ha} الرسمية هي {language}",
        "أما اللغة الرسمية في {name} فهي {language}",
        "واللغة الرسمية في {name} هي {language}",
        "و{language} هي لغت{ha} الرسمية",
    ),
)

DEMONYM = Relation(
    nominal=(
        "الرجل من {name} {demonym_m} والمرأة {demonym_f}",
        "النسبة إلى {name} {demonym_m} للمذكر و{demonym_f} للمؤنث",
        "المواطن في {name} {demonym_m}، والمواطنة {demonym_f}",
        "مواطن {name} {demonym_m}، ومواطنت{ha} {demonym_f}",
        "الطالب القادم من {name} طالب {demonym_m}، والطالبة القادمة من {name} طالبة {demonym_f}",
        "المسافر الذي يحمل جواز سفر {name} {demonym_m}، والمسافرة {demonym_f}",
    ),
    verbal=(
        "ينسب الرجل إلى {name} فيقال {demonym_m}، وتنسب المرأة فيقال {demonym_f}",
        "يقال للرجل من {name} {demonym_m}، وللمرأة {demonym_f}",
        "نقول عن الكاتب من {name} إنه كاتب {demonym_m}، وعن الكاتبة إنها كاتبة {demonym_f}",
        "يوصف القادم من {name} بأنه {demonym_m}، والقادمة بأنها {demonym_f}",
    ),
    later=(
        "والرجل من{ha} {demonym_m} والمرأة {demonym_f}",
        "والنسبة إلي{ha} {demonym_m} للمذكر و{demonym_f} للمؤنث",
        "أما النسبة إلي{ha} فهي {demonym_m} للمذكر و{demonym_f} للمؤنث",
        "ويقال للرجل من {name} {demonym_m}، وللمرأة {demonym_f}",
    ),
)

ARAB = Relation(
    nominal=(
        "{name} عضو في جامعة الدول العربية",
        "{name} دولة عربية عضو في جامعة الدول العربية",
        "{name} من الدول العربية",
        "{name} إحدى الدول الأعضاء في جامعة الدول العربية",
        "{name} بلد عربي",
    ),
    verbal=(
        "{t}نتمي {name} إلى جامعة الدول العربية",
        "تضم جامعة الدول العربية {name}",
        "{t}شارك {name} في اجتماعات جامعة الدول العربية",
        "انضم{s} {name} إلى جامعة الدول العربية",
    ),
    later=(
        "و{he} عضو في جامعة الدول العربية",
        "و{he} من الدول العربية",
        "كما {t}نتمي إلى جامعة الدول العربية",
        "و{name} عضو في جامعة الدول العربية",
    ),
)

NOT_ARAB = Relation(
    nominal=(
        "{name} ليس{s} عضواً في جامعة الدول العربية",
        "{name} دولة غير عربية",
        "{name} ليس{s} من الدول العربية",
        "{name} دولة من خارج جامعة الدول العربية",
    ),
    verbal=(
        "لا {t}نتمي {name} إلى جامعة الدول العربية",
        "لا تضم جامعة الدول العربية {name}",
        "ليس{s} {name} من الدول العربية",
        "ليس{s} {name} عضواً في جامعة الدول العربية",
    ),
    later=(
        "و{he} دولة غير عربية",
        "و{he} ليس{s} عضواً في جامعة الدول العربية",
        "و{name} ليس{s} من الدول العربية",
    ),
)

OFFICIAL = Relation(
    nominal=(
        "الاسم الرسمي {to_name} هو {official_name}",
        "{official_name} هو الاسم الرسمي {to_name}",
        "اسم {name} الرسمي هو {official_name}",
        "{name} في الوثائق الرسمية {he} {official_name}",
    ),
    verbal=(
        "{t}عرف {name} رسمياً باسم {official_name}",
        "{t}سمى {name} رسمياً {official_name}",
        "{t}حمل {name} رسمياً اسم {official_name}",
        "يكتب اسم {name} كاملاً هكذا: {official_name}",
    ),
    later=(
        "واسم{ha} الرسمي هو {official_name}",
        "أما اسم{ha} الرسمي فهو {official_name}",
        "و{t}عرف رسمياً باسم {official_name}",
    ),
)

# A capital seen by someone who walks through it; the parts whose facts are unknown are left out.
CITY_OPENINGS = (
    "{capital} هي عاصمة {name}، وهي مدينة في قارة {continent}",
    "في الصباح تفتح المتاجر أبوابها في {capital}، عاصمة {name}",
    "وصل الزائر إلى {capital} عاصمة {name} مع شروق الشمس",
    "يمشي الناس في شوارع {city}، وهي عاصمة {name} في قارة {continent}",
    "في {capital} بيوت ومدارس وحدائق وأسواق، وهي عاصمة {name}",
    "يسأل القادم إلى {name} أولاً عن {capital}، فهي العاصمة",
    "عندما يصل المسافرون إلى {capital} يعرفون أنهم في عاصمة {name}",
    "رسم الطفل خريطة {continent}، ووضع نجمة عند {capital} لأنها عاصمة {name}",
)
CITY_CURRENCY = (
    "وفي أسواقها يدفع المشترون ب{currency}",
    "وثمن الخبز في دكاكينها يدفع ب{currency}",
    "ومن يشتر تذكرة في محطتها يدفع ثمنها ب{currency}",
    "وعملة البلاد هناك هي {currency}",
    "وفي محفظة كل بائع فيها أوراق من {currency}",
)
CITY_LANGUAGE = (
    "واللغة الرسمية هناك هي {language}",
    "وتكتب المعاملات في دوائرها ب{full_language}",
    "وتصدر القرارات فيها ب{full_language}",
)
CITY_DEMONYM = (
    "ويستقبل سائق {demonym_m} ضيوفه بابتسامة",
    "وفي المقهى يقرأ كاتب {demonym_m}، وترسم رسامة {demonym_f} لوحة للميدان",
    "وتشرح معلمة {demonym_f} لتلاميذها تاريخ المدينة",
    "ويبيع تاجر {demonym_m} الفاكهة عند الزاوية",
)

# Trips: [one|other] follows the traveller's gender; the second country's slots end in 2.
TRIP_OPENINGS = (
    "سافر[|ت] {hero} من {capital} عاصمة {name} إلى {capital2} عاصمة {name2}",
    "بدأت رحلة {hero} في {capital}، وهي عاصمة {name}، وانتهت في {capital2}، وهي عاصمة {name2}",
    "زار[|ت] {hero} {name} أولاً ثم {name2}، [فرأى|فرأت] {capital} عاصمة البلد الأول و{capital2} عاصمة البلد الثاني",
    "انتقل[|ت] {hero} من {capital} في {name} إلى {capital2} في {name2}",
    "[قضى|قضت] {hero} أسبوعاً في {capital} عاصمة {name}، ثم انتقل[|ت] إلى {capital2} عاصمة {name2}",
)
TRIP_CONTINENT = (
    "والبلدان كلاهما في قارة {continent}",
    "ولم [يغادر|تغادر] قارة {continent}، فالبلدان يقعان فيها",
    "وكانت الرحلة كلها داخل قارة {continent}",
)
TRIP_CHANGE = (
    "دفع[|ت] في البلد الأول ب{currency} وفي الثاني ب{currency2}",
    "وفي الطريق بدل[|ت] نقود[ه|ها]، لأن عملة {name} هي {currency} وعملة {name2} هي {currency2}",
    "[واشترى|واشترت] هدية من {name} ب{currency} وأخرى من {name2} ب{currency2}",
)
TRIP_SAME_CURRENCY = (
    "ولم [يحتج|تحتج] إلى تبديل نقود[ه|ها]، لأن عملة البلدين هي {currency}",
    "ودفع[|ت] في البلدين بعملة واحدة هي {currency}",
)
TRIP_LANGUAGE = (
    "وقرأ[|ت] في الدليل أن اللغة الرسمية في {name} هي {language}، وفي {name2} هي {language2}",
    "وسمع[|ت] في البلد الأول {language} وفي البلد الثاني {language2}",
)
TRIP_SAME_LANGUAGE = (
    "واللغة الرسمية في البلدين هي {language}",
    "ووجد[|ت] أن {language} لغة رسمية في {name} وفي {name2}",
)
TRIP_ENDINGS = (
    "وعاد[|ت] إلى البيت ومع[ه|ها] صور كثيرة",
    "وكتب[|ت] ذلك كله في دفتر الرحلة",
    "ولما رجع[|ت] [حكى|حكت] لأسرت[ه|ها] ما [رأى|رأت]",
    "[وأهدى|وأهدت] إلى والدت[ه|ها] خريطة ملونة",
    "وكانت رحلة جميلة لا تنسى",
)

NUMBER_SPELLING = (
    "يكتب العدد {digits} بالحروف هكذا: {words}",
    "يكتب العدد {words} بالأرقام هكذا: {digits}",
    "العدد {digits} يقرأ: {words}",
    "العدد {digits} بالحروف هو {words}",
    "كتابة العدد {digits} بالكلمات: {words}",
    "{words} هو العدد {digits}",
    "العدد «{words}» يكتب بالأرقام هكذا: {digits}",
    "{digits} معناه {words}",
    "إذا قرأنا العدد {digits} قلنا: {words}",
    "نكتب «{words}» بالأرقام فنحصل على {digits}",
    "كتبت المعلمة على السبورة {digits}، وقرأه التلاميذ: {words}",
    "المبلغ رقماً {digits}، وكتابة {words}",
    "بالأرقام {digits}، وبالحروف {words}",
    "يلفظ العدد {digits} بالعربية: {words}",
    "من أراد كتابة {digits} بالكلمات كتب: {words}",
)
NUMBER_AFTER = (
    "العدد الذي يأتي بعد {oblique} مباشرة هو {next_words}",
    "العدد الذي يلي {digits} مباشرة هو {next_digits}",
    "بعد {digits} يأتي {next_digits}",
    "بعد {oblique} يأتي {next_words}",
    "إذا أضفنا واحداً إلى {digits} حصلنا على {next_digits}",
    "إذا أضفنا واحداً إلى {oblique} حصلنا على {next_oblique}",
    "العدد التالي للعدد {digits} هو {next_digits}",
    "{next_digits} هو العدد الذي يأتي بعد {digits}",
    "يأتي العدد {next_digits}، أي {next_words}، بعد العدد {digits}",
)
NUMBER_BEFORE = (
    "العدد الذي يأتي قبل {next_oblique} مباشرة هو {words}",
    "العدد الذي يسبق {next_digits} مباشرة هو {digits}",
    "قبل {next_digits} يأتي {digits}",
    "قبل {next_oblique} يأتي {words}",
    "إذا طرحنا واحداً من {next_digits} حصلنا على {digits}",
    "إذا طرحنا واحداً من {next_oblique} حصلنا على {oblique}",
    "العدد السابق للعدد {next_digits} هو {digits}",
    "{digits} هو العدد الذي يأتي قبل {next_digits}",
)
NUMBER_COMPARISON = (
    "العدد الأكبر بين {low} و{high} هو {high}",
    "العدد الأصغر بين {high} و{low} هو {low}",
    "العدد الأكبر بين {high} و{low} هو {high}",
    "العدد الأصغر بين {low} و{high} هو {low}",
    "العدد {high} أكبر من العدد {low}",
    "العدد {low} أصغر من العدد {high}",
    "{high} أكبر من {low}",
    "{low} أصغر من {high}",
    "العدد {high_words} أكبر من العدد {low_oblique}",
    "العدد {low_words} أصغر من العدد {high_oblique}",
    "من بين العددين {low} و{high} يكون {high} هو الأكبر",
    "حين نقارن {high} بالعدد {low} نجد أن {low} هو الأصغر",
)
NUMBER_ORDER = (
    "أكبر الأعداد {mixed} هو {highest}",
    "أصغر الأعداد {mixed} هو {lowest}",
    "أمامنا الأعداد {mixed}. أكبر هذه الأعداد هو {highest}",
    "أمامنا الأعداد {mixed}. أصغر هذه الأعداد هو {lowest}",
    "ترتيب الأعداد {mixed} من الأصغر إلى الأكبر هو: {rising}",
    "ترتيب الأعداد {mixed} من الأكبر إلى الأصغر هو: {falling}",
    "الأعداد {mixed} إذا رتبت تصاعدياً صارت: {rising}",
    "الأعداد {mixed} إذا رتبت تنازلياً صارت: {falling}",
)
NUMBER_PARITY = (
    "العدد {digits} عدد {parity} لأن رقم آحاده {last}",
    "{digits} عدد {parity}، فرقم الآحاد فيه {last}",
)
COUNTING = (
    "{place} {digits}، أي {words}",
    "{place} {words}",
    "عد[|ت] {hero} {oblique}، وكتب[|ت] في الدفتر: {digits}",
    "[اشترى|اشترت] {hero} {oblique}، وكتب[|ت] في القائمة: {digits}",
    "نكتب «{digits}» ونقرأ «{words}»",
)
CONVERSION = (
    "في {large_oblique} {small}",
    "في {large_oblique_digits} {small_digits}",
    "{t}عادل {large} {small_oblique}",
    "{t}ساوي {large} {small_oblique_digits}",
    "إذا حولنا {large_oblique} إلى {units} حصلنا على {small_oblique_digits}",
    "{small_digits} هي {large} بالضبط",
)
DATES = (
    "التاريخ {date} هو {date_words}",
    "يكتب تاريخ {date_oblique} بالأرقام هكذا: {date}",
    "يكتب التاريخ {date} بالكلمات هكذا: {date_words}",
    "يقرأ التاريخ {date} هكذا: {date_words}",
    "كتب[|ت] {hero} الرسالة في {date_oblique}، أي في {date}",
    "{date_words} هو {date}",
    "وافق {date_words} يوم {weekday}",
    "كان {date_words} يوم {weekday}",
    "جاء في السجل أن الاجتماع عقد في {date_oblique}",
)
YEAR_SPELLING = (
    "سنة {year} تقرأ: سنة {feminine}",
    "عام {year} يقرأ: عام {masculine}",
    "بعد سنة {year} تأتي سنة {next_year}",
    "قبل عام {next_year} جاء عام {year}",
    "يكتب عام {masculine} بالأرقام هكذا: {year}",
)

WEEKDAYS = (
    "اليوم الذي يأتي بعد يوم {a} هو يوم {b}",
    "اليوم الذي يأتي قبل يوم {b} هو يوم {a}",
    "بعد يوم {a} يأتي يوم {b}",
    "قبل يوم {b} يأتي يوم {a}",
    "يوم {b} يقع بين يومي {a} و{c}",
    "إذا كان اليوم يوم {a} فغداً يوم {b}",
    "إذا كان اليوم يوم {b} فقد كان أمس يوم {a}",
    "يلي يوم {a} في الأسبوع يوم {b}",
    "إذا كان اليوم يوم {a} فبعد غد يوم {c}",
)
MONTHS = (
    "الشهر الذي يأتي بعد شهر {a_of} هو {b}",
    "الشهر الذي يأتي قبل شهر {b_of} هو {a}",
    "الشهر {ordinal} في السنة {era} هو {a}",
    "شهر {a_of} هو الشهر {ordinal} في السنة {era}",
    "{a} هو الشهر {ordinal} من شهور السنة {era}",
    "ترتيب شهر {a_of} بين شهور السنة {era} هو {ordinal}",
    "بعد شهر {a_of} يأتي شهر {b_of}",
    "قبل شهر {b_of} يأتي شهر {a_of}",
    "شهر {b_of} يقع بين شهري {a_of} و{c_of}",
    "ينتهي شهر {a_of} فيبدأ شهر {b_of}",
)
MONTH_LENGTHS = (
    "في شهر {a_of} {length}",
    "عدد أيام شهر {a_of} {length}",
    "{a} شهر أيامه {length}",
)
MONTH_TWINS = (
    "شهر {a_of} هو شهر {twin} في بلاد الشام والعراق",
    "يسمى شهر {a_of} في بلاد الشام والعراق {twin}",
    "{twin} اسم آخر لشهر {a_of}",
)
CALENDAR_FACTS = (
    "في الأسبوع سبعة أيام، أولها الأحد وآخرها السبت",
    "أيام الأسبوع هي الأحد والاثنين والثلاثاء والأربعاء والخميس والجمعة والسبت",
    "في السنة اثنا عشر شهراً",
    "السنة الميلادية تبدأ بشهر يناير وتنتهي بشهر ديسمبر",
    "السنة الهجرية تبدأ بشهر محرم وتنتهي بشهر ذي الحجة",
    "العطلة الأسبوعية في بلدان عربية كثيرة يوما الجمعة والسبت",
    "الشهر الهجري تسعة وعشرون يوماً أو ثلاثون يوماً",
    "في اليوم أربع وعشرون ساعة، وفي الساعة ستون دقيقة",
    "فصول السنة أربعة: الربيع والصيف والخريف والشتاء",
    "بعد الربيع يأتي الصيف، وبعد الصيف يأتي الخريف، وبعد الخريف يأتي الشتاء",
)

# Lists over several countries.
CONTINENT_LISTS = (
    "من دول قارة {continent}: {names}",
    "تضم قارة {continent} دولاً كثيرة، منها {names}",
    "في قارة {continent} نجد {names}",
    "{names} دول تقع كلها في قارة {continent}",
    "إذا مررنا بإصبعنا على خريطة {continent} مررنا على {names}",
)
CURRENCY_LISTS = (
    "من الدول التي تتعامل ب{currency}: {names}",
    "{names} دول عملتها {currency}",
    "تستخدم دول عدة {currency}، ومنها {names}",
)
LANGUAGE_LISTS = (
    "من الدول التي لغتها الرسمية {language}: {names}",
    "{names} دول لغتها الرسمية {language}",
    "{language} لغة رسمية في دول عدة، منها {names}",
)
ARAB_LISTS = (
    "من الدول الأعضاء في جامعة الدول العربية: {names}",
    "{names} دول عربية",
    "تضم جامعة الدول العربية دولاً منها {names}",
)
