"""What is told and asked in the test of recall: two talks of forty facts and twenty lines of small talk each."""

from typing import NamedTuple


class Fact(NamedTuple):
    """
    `needle` is what must be told. `reach` says which memories can know it without an engine: `k` where somebody asked to
    have it remembered, `g` where it is said in a form that the rules read; vdb has every turn.

    In the held-out talk `g` was given without knowing the rules: to a plain clause, in the present, of what somebody or
    something is or is called, has, likes, uses, does, or where it lives, works or comes from.
    """

    said: str
    asked: str
    needle: str
    reach: str


FIRST_FACTS = [
    Fact("Remember that my locker code is 4711.", "Which number opens my locker?", "4711", "kg"),
    Fact("Please remember that my daughter Mia's birthday is 3 May.", "When was my daughter born?", "3 May", "kg"),
    Fact(
        "Remember that the wifi password of the cabin is otter-lake.",
        "How do I get online in the cabin?",
        "otter-lake",
        "kg",
    ),
    Fact(
        "Keep in mind that I must be at the dentist on Thursday at nine.",
        "When is my appointment with the dentist?",
        "Thursday",
        "k",
    ),
    Fact(
        "Don't forget that our budget for the kitchen is 12,000 euros.",
        "How much money may the kitchen cost?",
        "12,000",
        "kg",
    ),
    Fact("Remember: my blood type is AB negative.", "What type of blood do I have?", "AB negative", "kg"),
    Fact(
        "Note that the spare key lies under the blue flowerpot.", "Where did we hide the spare key?", "flowerpot", "k"
    ),
    Fact("Remember that my passport number is X83920.", "What is written in my passport?", "X83920", "kg"),
    Fact("Could you remember that my landlord is Mr. Ferreira?", "What's the name of the landlord?", "Ferreira", "k"),
    Fact("Remember that I take my coffee with oat milk.", "What goes into my coffee?", "oat milk", "k"),
    Fact(
        "Please keep in mind that the alarm code for the warehouse is 9035.",
        "How do I switch off the alarm of the warehouse?",
        "9035",
        "kg",
    ),
    Fact(
        "Remember my frequent flyer number is LH-55120.", "Which flyer number do I give the airline?", "LH-55120", "kg"
    ),
    Fact("请记住我的车牌号是京A88021。", "我的车牌是多少?", "京A88021", "kg"),
    Fact("记住，会议室的密码是2468。", "怎么进会议室?密码多少?", "2468", "kg"),
    Fact("记住我的护照放在书房抽屉里。", "护照放在哪里了?", "抽屉", "k"),
    Fact("I live in Lisbon.", "In which city is my home?", "Lisbon", "g"),
    Fact("I work at a bakery called Crumb & Co.", "Who is my employer?", "Crumb", "g"),
    Fact("My sister Ingrid is a carpenter.", "What does Ingrid do for a living?", "carpenter", "g"),
    Fact("Ingrid lives in Bergen.", "Where does my sister Ingrid live?", "Bergen", "g"),
    Fact("I am allergic to peanuts.", "Is there any food I must avoid?", "peanuts", "g"),
    Fact("My favourite colour is turquoise.", "Which colour do I like best?", "turquoise", "g"),
    Fact("I drive an old Volvo.", "What car do I have?", "Volvo", "g"),
    Fact("Tomas works for the city library.", "Where is Tomas employed?", "library", "g"),
    Fact(
        "Our production database runs on PostgreSQL 16.",
        "Which version is the production database?",
        "PostgreSQL 16",
        "g",
    ),
    Fact(
        "The deadline of Project Heron is 14 November.", "By when must Project Heron be finished?", "14 November", "g"
    ),
    Fact("I play the cello.", "Which instrument do I play?", "cello", "g"),
    Fact("My dog is called Biscuit.", "What is the name of my dog?", "Biscuit", "g"),
    Fact("Priya reports to Helena.", "Who is the boss of Priya?", "Helena", "g"),
    Fact("I prefer trains to planes.", "Do I rather take trains or fly?", "trains", "g"),
    Fact("我住在杭州。", "我的家在哪个城市?", "杭州", "g"),
    Fact("我的猫叫豆豆。", "我的猫名字叫什么?", "豆豆", "g"),
    Fact("李雷在华为工作。", "李雷在哪家公司上班?", "华为", "g"),
    Fact("我对海鲜过敏。", "我不能吃什么?会过敏吗?", "海鲜", "g"),
    Fact(
        "Yesterday we finally booked the ferry to Gotland for the summer.", "How do we travel to Gotland?", "ferry", ""
    ),
    Fact(
        "The plumber said fixing that pipe would come to 340 euros.",
        "What did the plumber want for the pipe?",
        "340",
        "",
    ),
    Fact("After the marathon my left knee hurt for a week.", "Which knee hurt after the marathon?", "left knee", ""),
    Fact(
        "For the party we ordered forty lanterns from a shop in Ghent.",
        "From where do the lanterns for the party come?",
        "Ghent",
        "",
    ),
    Fact(
        "Grandma taught me to bake rye bread with caraway.", "Which spice goes into grandma's rye bread?", "caraway", ""
    ),
    Fact(
        "It took three attempts before the drone survived its landing.",
        "How many attempts did the drone need?",
        "three attempts",
        "",
    ),
    Fact("周末我们一起爬了黄山,看到了日出。", "我们周末爬了哪座山?", "黄山", ""),
]
FIRST_SMALL_TALK = [
    "How do I boil an egg?",
    "Tell me a joke about penguins.",
    "What is the tallest mountain in Europe?",
    "Can you translate good morning into Italian?",
    "Write a haiku about rain.",
    "Why is the sky blue?",
    "Thanks, that was nice!",
    "How long is a marathon?",
    "What rhymes with orange?",
    "Give me three names for a boat.",
    "Explain recursion to a child.",
    "讲一个笑话吧。",
    "What should I read next?",
    "How many bones has a shark?",
    "Say something encouraging.",
    "Which languages use the Cyrillic alphabet?",
    "How do bees find their way home?",
    "What is a palindrome?",
    "Suggest a slow song for the evening.",
    "明天会下雨吗?",
]
HELD_OUT_FACTS = [
    Fact("Make a note: the gate code at my mum's is 7730#.", "What do I type in at mum's gate?", "7730#", "kg"),
    Fact("I'm a nurse at Saint Vincent's hospital.", "What's my job?", "nurse", "g"),
    Fact("For future reference, I'm a size 43 in shoes.", "What shoe size should I order?", "43", "kg"),
    Fact("My husband's name is Goran.", "What's my husband called?", "Goran", "g"),
    Fact(
        "We ended up paying 1,150 for the new windows.",
        "How much were the windows?",
        "1,150",
        "",
    ),
    Fact("帮我记一下，我老婆的生日是8月16号。", "我老婆哪天过生日？", "8月16号", "kg"),
    Fact("We've got two cats, Miso and Pepper.", "What are our cats called?", "Miso", "g"),
    Fact(
        "Write this down please: the boiler was last serviced on 12 February.",
        "When did someone last service the boiler?",
        "12 February",
        "k",
    ),
    Fact("My brother works as a pilot for Qantas.", "Which airline does my brother fly for?", "Qantas", "g"),
    Fact("我在一家医院当医生。", "我是做什么工作的？", "医生", "g"),
    Fact("Just remember that Leo can't have gluten.", "What shouldn't I cook when Leo comes over?", "gluten", "k"),
    Fact("I'm originally from Kraków.", "Where do I come from?", "Kraków", "g"),
    Fact(
        "Last weekend the kids found a hedgehog behind the shed.",
        "What animal did the kids come across?",
        "hedgehog",
        "",
    ),
    Fact("Save this for later: our Netflix PIN is 0815.", "What's the PIN for Netflix?", "0815", "kg"),
    Fact("I absolutely hate coriander.", "Which herb can't I stand?", "coriander", "g"),
    Fact("别忘了车停在B2层。", "我把车停哪儿了？", "B2", "k"),
    Fact("Our son goes to Lindenhof primary school.", "Which school is our son at?", "Lindenhof", "g"),
    Fact(
        "Please don't forget my mother-in-law is vegetarian.",
        "Does my mother-in-law eat meat?",
        "vegetarian",
        "kg",
    ),
    Fact("我老家是成都的。", "我是哪里人？", "成都", "g"),
    Fact("My laptop is a ThinkPad with Fedora on it.", "What computer do I use?", "ThinkPad", "g"),
    Fact("Remember, bins go out on Tuesdays.", "Which day do I put the bins out?", "Tuesday", "k"),
    Fact(
        "The doctor put me on 20 mg of lisinopril last month.",
        "Which medicine did the doctor prescribe me?",
        "lisinopril",
        "",
    ),
    Fact("My best friend Nadia has a bookshop in Lyon.", "What does Nadia own?", "bookshop", "g"),
    Fact(
        "I'd like you to remember that my therapist is Dr. Okafor.",
        "Who do I see for therapy?",
        "Okafor",
        "kg",
    ),
    Fact("你要记住我女儿对花生过敏。", "我女儿有什么不能吃的？", "花生", "kg"),
    Fact("My parents live in a small village near Graz.", "Where's my parents' place?", "Graz", "g"),
    Fact("我妹妹在北京读大学。", "我妹妹在哪个城市上学？", "北京", "g"),
    Fact("Keep in mind we're leaving for Naples on the 21st.", "What date is our trip to Naples?", "21st", "k"),
    Fact("My team uses GitLab for everything.", "Which tool does my team use?", "GitLab", "g"),
    Fact("昨天在宜家买了一张书桌，花了799。", "书桌多少钱买的？", "799", ""),
    Fact("I'm diabetic, type 1.", "Do I have any medical condition?", "diabetic", "g"),
    Fact(
        "Can you note down that the car's insurance runs out in March?",
        "When do I need to renew the car insurance?",
        "March",
        "k",
    ),
    Fact("我最喜欢吃火锅。", "我爱吃什么？", "火锅", "g"),
    Fact("I love Ethiopian food.", "What cuisine do I like most?", "Ethiopian", "g"),
    Fact("I've been learning Portuguese for about a year now.", "Which language am I studying?", "Portuguese", ""),
    Fact("麻烦记一下：物业电话是6688-1234。", "物业的电话号码是多少来着？", "6688-1234", "kg"),
    Fact("Our server is called hydra and it has 64 GB of memory.", "How much RAM is in hydra?", "64 GB", "g"),
    Fact("我家有只狗，叫旺财。", "我家狗叫啥？", "旺财", "g"),
    Fact("上个月我把手机换成了小米14。", "我现在用的是什么手机？", "小米14", ""),
    Fact("我同事小王负责前端。", "前端是谁在管？", "小王", "g"),
]
HELD_OUT_SMALL_TALK = [
    "What can I make with leftover rice?",
    "Is it bad to drink tea late at night?",
    "lol ok",
    "Who wrote Moby Dick?",
    "Can you fix the grammar in: he don't know nothing?",
    "推荐一部老电影。",
    "How far away is the moon?",
    "Give me a workout for ten minutes.",
    "What's a good excuse to leave a meeting early?",
    "Convert 5 miles to kilometres.",
    "Do octopuses sleep?",
    "怎么煮粥不会糊？",
    "Why do onions make people cry?",
    "Summarise the plot of Hamlet in one line.",
    "What's the difference between a frog and a toad?",
    "I'm bored, tell me something weird.",
    "How do planes stay up?",
    "“画蛇添足”是什么意思？",
    "Thx!",
    "What's the capital of Mongolia?",
]


class Talk(NamedTuple):
    name: str
    facts: list[Fact]
    small_talk: list[str]

    def turns(self) -> list[str]:
        """Two facts, then some small talk, again and again."""
        assert (len(self.facts), len(self.small_talk)) == (40, 20)
        said: list[str] = []
        for number, talk in enumerate(self.small_talk):
            said += [self.facts[2 * number].said, talk, self.facts[2 * number + 1].said]
        return said


TALKS = [Talk("first", FIRST_FACTS, FIRST_SMALL_TALK), Talk("held-out", HELD_OUT_FACTS, HELD_OUT_SMALL_TALK)]
