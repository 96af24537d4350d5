// Made by scripts/keyboard-layouts.py from Debian's libx11 2:1.8.4-2+deb12u2. Not edited by hand.

extension DeadKey {
  static let all: [DeadKey] = [
    DeadKey(
      name: "grave", keysym: 0xFE50, alone: "`",
      twice: "`",
      pairs: #"""
        AÀEÈIÌNǸOÒUÙVǛWẀYỲaàeèiìnǹoòuùvǜwẁyỳÂẦÔỒÜǛâầôồüǜĂẰăằĒḔēḕŌṐōṑΑᾺΕῈΗῊΙῚΟῸΥῪΩῺαὰεὲηὴιὶοὸ
        υὺωὼЕЀИЍеѐиѝ
        """#),
    DeadKey(
      name: "acute", keysym: 0xFE51, alone: "'",
      twice: "´",
      pairs: #"""
        AÁCĆEÉGǴIÍKḰLĹMḾNŃOÓPṔRŔSŚUÚVǗWẂYÝZŹaácćeégǵiíkḱlĺmḿnńoópṕrŕsśuúvǘwẃyýzźÂẤÅǺÆǼÇḈÏḮÔỐ
        ÕṌØǾÜǗâấåǻæǽçḉïḯôốõṍøǿüǘĂẮăắĒḖēḗŌṒōṓΑΆΕΈΗΉΙΊΟΌΥΎΩΏαάεέηήιίοόυύωώГЃКЌгѓкќ
        """#),
    DeadKey(
      name: "circumflex", keysym: 0xFE52, alone: "^",
      twice: "^",
      pairs: #"""
        (⁽)⁾+⁺-⁻.·0⁰1¹2²3³4⁴5⁵6⁶7⁷8⁸9⁹=⁼AÂCĈEÊGĜHĤIÎJĴOÔSŜUÛWŴYŶZẐaâcĉeêgĝhĥiîjĵoôsŝuûwŵyŷzẑ
        ÀẦÁẤÃẪÈỀÉẾÒỒÓỐÕỖàầáấãẫèềéếòồóốõỗ
        """#),
    DeadKey(
      name: "tilde", keysym: 0xFE53, alone: "~",
      twice: "~",
      pairs: #"""
        <≲=≃>≳AÃEẼIĨNÑOÕUŨVṼYỸaãeẽiĩnñoõuũvṽyỹÂẪÊỄÓṌÔỖÖṎÚṸâẫêễóṍôỗöṏúṹĂẴăẵαᾶηῆιῖυῦωῶ
        """#),
    DeadKey(
      name: "macron", keysym: 0xFE54, alone: "¯",
      twice: "¯",
      pairs: #"""
        AĀEĒGḠIĪOŌUŪVǕYȲaāeēgḡiīoōuūvǖyȳÄǞÆǢÈḔÉḖÒṐÓṒÕȬÖȪÜǕäǟæǣèḕéḗòṑóṓõȭöȫüǖΑᾹΙῙΥῩαᾱιῑυῡИӢУӮ
        иӣуӯ
        """#),
    DeadKey(
      name: "breve", keysym: 0xFE55, alone: "˘",
      twice: "˘",
      pairs: #"""
        AĂEĔGĞIĬOŎUŬaăeĕgğiĭoŏuŭÀẰÁẮÃẴàằáắãẵΑᾸΙῘΥῨαᾰιῐυῠАӐЕӖЖӁИЙУЎаӑеӗжӂийуў
        """#),
    DeadKey(
      name: "abovedot", keysym: 0xFE56, alone: "˙",
      twice: "˙",
      pairs: #"""
        AȦBḂCĊDḊEĖFḞGĠHḢIİLĿMṀNṄOȮPṖRṘSṠTṪWẆXẊYẎZŻaȧbḃcċdḋeėfḟgġhḣiıjȷlŀmṁnṅoȯpṗrṙsṡtṫwẇxẋyẏ
        zżŚṤśṥŠṦšṧſẛ
        """#),
    DeadKey(
      name: "diaeresis", keysym: 0xFE57, alone: "\"",
      twice: "¨",
      pairs: #"""
        AÄEËHḦIÏOÖUÜWẄXẌYŸaäeëhḧiïoötẗuüwẅxẍyÿÍḮÕṎÙǛÚǗíḯõṏùǜúǘŪṺūṻΙΪΥΫιϊυϋІЇАӒЕЁЖӜЗӞИӤОӦУӰЧӴ
        ЫӸЭӬаӓеёжӝзӟиӥоӧуӱчӵыӹэӭії
        """#),
    DeadKey(
      name: "abovering", keysym: 0xFE58, alone: "°",
      twice: "°",
      pairs: #"""
        AÅUŮaåuůwẘyẙÁǺáǻ
        """#),
    DeadKey(
      name: "doubleacute", keysym: 0xFE59, alone: "˝",
      twice: "˝",
      pairs: #"""
        OŐUŰoőuűУӲуӳ
        """#),
    DeadKey(
      name: "caron", keysym: 0xFE5A, alone: "ˇ",
      twice: "ˇ",
      pairs: #"""
        (₍)₎+₊-₋0₀1₁2₂3₃4₄5₅6₆7₇8₈9₉=₌AǍCČDĎEĚGǦHȞIǏKǨLĽNŇOǑRŘSŠTŤUǓVǙZŽaǎcčdďeěgǧhȟiǐjǰkǩlľ
        nňoǒrřsštťuǔvǚzžÜǙüǚƷǮʒǯ
        """#),
    DeadKey(
      name: "cedilla", keysym: 0xFE5B, alone: "¸",
      twice: "¸",
      pairs: #"""
        CÇDḐEȨGĢHḨKĶLĻNŅRŖSŞTŢcçdḑeȩgģhḩkķlļnņrŗsştţ¢₵ĆḈćḉĔḜĕḝ
        """#),
    DeadKey(
      name: "ogonek", keysym: 0xFE5C, alone: "˛",
      twice: "˛",
      pairs: #"""
        AĄEĘIĮOǪUŲaąeęiįoǫuų
        """#),
    DeadKey(
      name: "iota", keysym: 0xFE5D, alone: "ͺ",
      twice: "ͺ",
      pairs: #"""
        ΑᾼΗῌΩῼάᾴήῄαᾳηῃωῳώῴὰᾲὴῂὼῲᾶᾷῆῇῶῷ
        """#),
    DeadKey(
      name: "belowdot", keysym: 0xFE60, alone: "",
      twice: "",
      pairs: #"""
        +⨥-⨪=⩦AẠBḄDḌEẸHḤIỊKḲLḶMṂNṆOỌRṚSṢTṬUỤVṾWẈYỴZẒaạbḅdḍeẹhḥiịkḳlḷmṃnṇoọrṛsṣtṭuụvṿwẉyỵzẓÂẬ
        ÊỆÔỘâậêệôộĂẶăặ
        """#),
    DeadKey(
      name: "hook", keysym: 0xFE61, alone: "",
      twice: "",
      pairs: #"""
        AẢBƁCƇDƊEẺFƑGƓIỈKƘMⱮNƝOỎPƤTƬUỦVƲWⱲYỶZȤaảbɓcƈdɗeẻfƒgɠhɦiỉkƙmɱnɲoỏpƥqʠrɼsʂtƭuủvʋwⱳyỷzȥ
        ÂẨÊỂÔỔâẩêểôổĂẲăẳəɚ
        """#),
    DeadKey(
      name: "horn", keysym: 0xFE62, alone: "",
      twice: "",
      pairs: #"""
        OƠUƯoơuưÒỜÓỚÙỪÚỨòờóớùừúứỎỞỏởỦỬủử
        """#),
    DeadKey(
      name: "stroke", keysym: 0xFE63, alone: "/",
      twice: "/",
      pairs: #"""
        2ƻ<≮=≠>≯AȺBɃCȻDĐEɆGǤHĦIƗJɈLŁOØPⱣRɌTŦUɄYɎZƵaⱥbƀcȼdđeɇgǥhħiɨjɉlłoøpᵽrɍtŧuʉyɏzƶÓǾóǿȷɟ≤≰
        ≥≱
        """#),
    DeadKey(
      name: "abovecomma", keysym: 0xFE64, alone: "",
      twice: "",
      pairs: #"""
        """#),
    DeadKey(
      name: "abovereversedcomma", keysym: 0xFE65, alone: "",
      twice: "",
      pairs: #"""
        """#),
    DeadKey(
      name: "doublegrave", keysym: 0xFE66, alone: "",
      twice: "",
      pairs: #"""
        AȀEȄIȈOȌRȐUȔaȁeȅiȉoȍrȑuȕ
        """#),
    DeadKey(
      name: "belowmacron", keysym: 0xFE68, alone: "",
      twice: "",
      pairs: #"""
        BḆDḎKḴLḺNṈRṞTṮZẔbḇdḏhẖkḵlḻnṉrṟtṯzẕ
        """#),
    DeadKey(
      name: "invertedbreve", keysym: 0xFE6D, alone: "",
      twice: "",
      pairs: #"""
        AȂEȆIȊOȎRȒUȖaȃeȇiȋoȏrȓuȗ
        """#),
    DeadKey(
      name: "belowcomma", keysym: 0xFE6E, alone: ",",
      twice: ",",
      pairs: #"""
        SȘTȚsștț
        """#),
    DeadKey(
      name: "currency", keysym: 0xFE6F, alone: "¤",
      twice: "¤",
      pairs: #"""
        A₳B₱C₡D₯E₠F₣G₲H₴I៛K₭L₤MℳN₦O૱P₧R₨S$T₮U圓W₩Y円a؋b฿c¢d₫e€fƒg₲h₴i﷼k₭l£m₥n₦o௹p₰r₢s₪t৳u元w₩y¥
        Ç₵Þ৲ç₵þ৲
        """#),
    DeadKey(
      name: "greek", keysym: 0xFE8C, alone: "µ",
      twice: "µ",
      pairs: #"""
        AΑBΒDΔEΕFΦGΓHΗIΙJΘKΚLΛMΜNΝOΟPΠQΧRΡSΣTΤUΥWΩXΞYΨZΖaαbβdδeεfφgγhηiιjθkκlλmμnνoοpπqχrρsσ
        tτuυwωxξyψzζ
        """#),
  ]
}
