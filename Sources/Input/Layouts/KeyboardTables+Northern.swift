// Made by scripts/keyboard-layouts.py from Debian's xkeyboard-config 2.35.1-1. Not edited by hand.

extension KeyboardTables {
  static let northern: [Row] = [
    Row(
      name: "se", title: "Swedish",
      levels: #"""
        § 1 2 3 4 5 6 7 8 9 0 + acute
        q w e r t y u i o p å diaeresis
        a s d f g h j k l ö ä '
        < z x c v b n m , . \-
        ½ ! " # ¤ % & / ( ) = ? grave
        Q W E R T Y U I O P Å circumflex
        A S D F G H J K L Ö Ä *
        > Z X C V B N M ; : _
        ¶ ¡ @ £ $ € ¥ { [ ] } \ ±
        @ ſ € ® þ ← ↓ → œ þ diaeresis tilde
        ª ß ð đ ŋ ħ hook ĸ ł ø æ ´
        | « » © „ “ ” µ cedilla · belowdot
        ¾ ¹ ² ³ ¼ ¢ ⅝ ÷ « » ° ¿ ¬
        Ω § ¢ ® Þ ¥ ↑ ı Œ Þ abovering caron
        º ẞ Ð ª Ŋ Ħ horn & Ł Ø Æ ×
        ¦ < > © ‚ ‘ ’ º ogonek abovedot abovedot
        """#),
    Row(
      name: "no", title: "Norwegian",
      levels: #"""
        | 1 2 3 4 5 6 7 8 9 0 + \
        q w e r t y u i o p å diaeresis
        a s d f g h j k l ø æ '
        < z x c v b n m , . \-
        § ! " # ¤ % & / ( ) = ? grave
        Q W E R T Y U I O P Å circumflex
        A S D F G H J K L Ø Æ *
        > Z X C V B N M ; : _
        ¦ ¡ @ £ $ ½ ¥ { [ ] } ± acute
        @ ſ € ® þ ← ↓ → œ π diaeresis tilde
        ª ß ð đ ŋ ħ hook ĸ ł acute circumflex doubleacute
        ½ « » © „ “ ” µ cedilla … –
        ¶ ¹ ² ³ ¼ ‰ ⅝ ÷ « » ° ¿ ¬
        Ω § ¢ ™ Þ ¥ ↑ ı Œ Π abovering caron
        º ẞ Ð ª Ŋ Ħ horn & Ł doubleacute caron ×
        ¾ < > © ‚ ‘ ’ º ogonek · —
        """#),
    Row(
      name: "dk", title: "Danish",
      levels: #"""
        ½ 1 2 3 4 5 6 7 8 9 0 + acute
        q w e r t y u i o p å diaeresis
        a s d f g h j k l æ ø '
        < z x c v b n m , . \-
        § ! " # ¤ % & / ( ) = ? grave
        Q W E R T Y U I O P Å circumflex
        A S D F G H J K L Æ Ø *
        > Z X C V B N M ; : _
        ¾ ¡ @ £ $ ½ ¥ { [ ] } ± |
        @ ſ € ® þ ← ↓ → œ þ diaeresis tilde
        ª ß ð đ ŋ ħ hook ĸ ł acute circumflex doubleacute
        \ « » © „ “ ” µ cedilla · belowdot
        ¶ ¹ ² ³ ¼ ¢ ⅝ ÷ « » ° ¿ ¦
        Ω § ¢ ® Þ ¥ ↑ ı Œ Þ abovering caron
        º ẞ Ð ª Ŋ Ħ horn & Ł doubleacute caron ×
        ¬ < > © ‚ ‘ ’ º ogonek abovedot abovedot
        """#),
    Row(
      name: "fi", title: "Finnish",
      levels: #"""
        § 1 2 3 4 5 6 7 8 9 0 + acute
        q w e r t y u i o p å diaeresis
        a s d f g h j k l ö ä '
        < z x c v b n m , . \-
        ½ ! " # ¤ % & / ( ) = ? grave
        Q W E R T Y U I O P Å circumflex
        A S D F G H J K L Ö Ä *
        > Z X C V B N M ; : _
        stroke - @ £ $ ‰ ‚ { [ ] } \ cedilla
        - - € - þ - - ı œ horn doubleacute tilde
        ə ß ð - - - - ĸ stroke ø æ caron
        | ʒ × - - - ŋ µ ’ belowdot –
        - ¡ ” » « “ „ - < > ° ¿ ogonek
        - - - - Þ - - | Œ hook abovering macron
        Ə ẞ Ð - - - - greek currency Ø Æ breve
        ¦ Ʒ · - - - Ŋ — ‘ abovedot belowcomma
        """#),
    Row(
      name: "is", title: "Icelandic",
      levels: #"""
        abovering 1 2 3 4 5 6 7 8 9 0 ö \-
        q w e r t y u i o p ð '
        a s d f g h j k l æ acute +
        < z x c v b n m , . þ
        diaeresis ! " # $ % & / ( ) = Ö _
        Q W E R T Y U I O P Ð ?
        A S D F G H J K L Æ acute *
        > Z X C V B N M ; : Þ
        ¬ ¹ ² ³ ¼ ½ ¬ { [ ] } \ cedilla
        @ ſ € ¶ ŧ ← ↓ → ø | diaeresis ~
        æ ß „ đ ŋ ħ hook ĸ ł ^ circumflex `
        | « » ¢ „ “ ” µ • · belowdot
        - ¡ ⅛ £ ¤ ⅜ ⅝ ⅞ ™ ± ° ¿ ogonek
        Ω § ¢ ® Ŧ ¥ ↑ ı Ø π abovering macron
        Æ ẞ “ ª Ŋ Ħ horn & Ł doubleacute caron breve
        ¦ < > © ‚ ‘ ’ º × ÷ abovedot
        """#),
    Row(
      name: "ee", title: "Estonian",
      levels: #"""
        caron 1 2 3 4 5 6 7 8 9 0 + acute
        q w e r t y u i o p ü õ
        a s d f g h j k l ö ä '
        < z x c v b n m , . \-
        tilde ! " # ¤ % & / ( ) = ? grave
        Q W E R T Y U I O P Ü Õ
        A S D F G H J K L Ö Ä *
        > Z X C V B N M ; : _
        ¬ ¹ @ £ $ ½ ¬ { [ ] } \ `
        @ ſ € ¶ ŧ ← ↓ → ø þ diaeresis §
        æ š ð đ ŋ ħ hook ĸ ł acute ^ ½
        | ž » ¢ „ “ ” µ < > |
        ¬ ¡ ⅛ £ $ ⅜ ⅝ ⅞ ™ ± ° ¿ '
        Ω § ¢ ® Ŧ ¥ ↑ ı Ø Þ abovering macron
        Æ Š Ð ª Ŋ Ħ horn & Ł doubleacute caron breve
        ¦ Ž > © ‚ ‘ ’ º × ÷ ˙
        """#),
    Row(
      name: "lv", title: "Latvian",
      levels: #"""
        ` 1 2 3 4 5 6 7 8 9 0 \- =
        q w e r t y u i o p [ ]
        a s d f g h j k l ; ' \
        < z x c v b n m , . /
        ~ ! @ # $ % ^ & * ( ) _ +
        Q W E R T Y U I O P { }
        A S D F G H J K L : " |
        > Z X C V B N M < > ?
        ´ ¹ ² ³ € ½ ¾ { [ ] } \ –
        - - ē ŗ - - ū ī ō - « »
        ā š - - ģ - - ķ ļ - “ `
        | ž - č - - ņ - • ·
        - ¡ ⅛ £ ¢ ⅜ ⅝ ⅞ ™ ± ° ¿ —
        - - Ē Ŗ - - Ū Ī Ō - “ ”
        Ā Š - - Ģ - - Ķ Ļ - „ ˘
        ¦ Ž - Č - - Ņ - × ÷ ˙
        """#),
    Row(
      name: "lt", title: "Lithuanian",
      levels: #"""
        ` ą č ę ė į š ų ū „ “ \- ž
        q w e r t y u i o p [ ]
        a s d f g h j k l ; ' \
        – z x c v b n m , . /
        ~ Ą Č Ę Ė Į Š Ų Ū ( ) _ Ž
        Q W E R T Y U I O P { }
        A S D F G H J K L : " |
        € Z X C V B N M < > ?
        ´ 1 2 3 4 5 6 7 8 9 0 – =
        @ ſ € ¶ ŧ ← ↓ → ø þ diaeresis tilde
        æ ß ð đ ŋ ħ hook ĸ ł acute circumflex grave
        | « » ¢ „ “ ” µ • · belowdot
        ¬ ! @ # $ % ^ & * - - ¿ +
        Ω § £ ® Ŧ ¥ ↑ ı Ø Þ abovering macron
        Æ ẞ Ð ª Ŋ Ħ horn & Ł doubleacute caron breve
        ¦ < > © ‚ ‘ ’ º × ÷ abovedot
        """#),
    Row(
      name: "pl", title: "Polish",
      levels: #"""
        ` 1 2 3 4 5 6 7 8 9 0 \- =
        q w e r t y u i o p [ ]
        a s d f g h j k l ; ' \
        < z x c v b n m , . /
        ~ ! @ # $ % ^ & * ( ) _ +
        Q W E R T Y U I O P { }
        A S D F G H J K L : " |
        > Z X C V B N M < > ?
        ¬ ≠ ² ³ ¢ € ½ § · « » – cedilla
        π œ ę © ß ← ↓ → ó þ diaeresis tilde
        ą ś ð æ ŋ ’ ə … ł acute circumflex grave
        | ż ź ć „ ” ń µ ≤ ≥ belowdot
        ∨ ¡ ¿ £ ¼ ‰ ∧ ≈ ¾ ± ° — ogonek
        Ω Œ Ę ® ™ ¥ ↑ ↔ Ó Þ abovering macron
        Ą Ś Ð Æ Ŋ • Ə stroke Ł doubleacute caron breve
        ¦ Ż Ź Ć ‘ “ Ń ∞ × ÷ abovedot
        """#),
    Row(
      name: "cz", title: "Czech",
      levels: #"""
        ; + ě š č ř ž ý á í é = acute
        q w e r t z u i o p ú )
        a s d f g h j k l ů § diaeresis
        \ y x c v b n m , . \-
        abovering 1 2 3 4 5 6 7 8 9 0 % caron
        Q W E R T Z U I O P / (
        A S D F G H J K L " ! '
        | Y X C V B N M ? : _
        ` ! @ # $ % ^ & * { } \ macron
        \ | € ¶ ŧ ← ↓ → ø þ [ ]
        ~ đ Đ [ ] ` ' ł Ł $ ' \
        / ° # & @ { } ^ < > *
        ~ tilde caron circumflex breve abovering ogonek grave abovedot acute doubleacute diaeresis cedilla
        Ω § - ® Ŧ ¥ ↑ ı Ø Þ ÷ ×
        Æ ẞ Ð ª Ŋ Ħ horn & Ł doubleacute ß |
        ¦ < > © ‚ ‘ ’ º × ÷ abovedot
        """#),
    Row(
      name: "sk", title: "Slovak",
      levels: #"""
        ; + ľ š č ť ž ý á í é = acute
        q w e r t z u i o p ú ä
        a s d f g h j k l ô § ň
        \ y x c v b n m , . \-
        abovering 1 2 3 4 5 6 7 8 9 0 % caron
        Q W E R T Z U I O P / (
        A S D F G H J K L " ! )
        | Y X C V B N M ? : _
        ` ! @ # $ % ^ & * { } \ macron
        \ | € ¶ ŧ ← ↓ → ø þ [ ]
        ~ đ Đ [ ] ` ' ł Ł $ ' \
        / ° # & @ { } ^ < > *
        ~ tilde caron circumflex breve abovering ogonek grave abovedot acute doubleacute diaeresis cedilla
        Ω § - ® Ŧ ¥ ↑ ı Ø Þ ÷ ×
        Æ ẞ Ð ª Ŋ Ħ horn & Ł doubleacute ß |
        ¦ < > © ‚ ‘ ’ º × ÷ abovedot
        """#),
    Row(
      name: "hu", title: "Hungarian",
      levels: #"""
        0 1 2 3 4 5 6 7 8 9 ö ü ó
        q w e r t z u i o p ő ú
        a s d f g h j k l é á ű
        í y x c v b n m , . \-
        § ' " + ! % / = ( ) Ö Ü Ó
        Q W E R T Z U I O P Ő Ú
        A S D F G H J K L É Á Ű
        Í Y X C V B N M ? : _
        ¬ ~ caron ^ breve abovering ogonek ` abovedot acute doubleacute diaeresis cedilla
        \ | Ä ¶ ŧ – € Í „ ” ÷ ×
        ä đ Đ [ ] ħ í ł Ł $ ß ¤
        < > # & @ { } < ; > *
        ¬ tilde ˇ circumflex ˘ ° ˛ grave ˙ ´ ˝ ¨ ¸
        Ω § - ® Ŧ ¥ ↑ í Ø Þ abovering macron
        Ä ẞ Ð ª Ŋ Ħ Í & Ł ¢ ẞ breve
        > < > © ‚ ‘ ’ º × ÷ abovedot
        """#),
    Row(
      name: "ro", title: "Romanian",
      levels: #"""
        ` 1 2 3 4 5 6 7 8 9 0 \- =
        q w e r t y u i o p [ ]
        a s d f g h j k l ; ' \
        \ z x c v b n m , . /
        ~ ! @ # $ % ^ & * ( ) _ +
        Q W E R T Y U I O P { }
        A S D F G H J K L : " |
        | Z X C V B N M < > ?
        - tilde caron circumflex breve abovering ogonek grave abovedot acute doubleacute diaeresis cedilla
        â ß € - ț - - î - § „ ”
        ă ș đ - - - - - ł
        | - - © - - - - « »
        - - - - - - - - - - - – ±
        Â ẞ - - Ț - - Î
        Ă Ș Đ - - - - - Ł
        ¦
        """#),
    Row(
      name: "hr", title: "Croatian",
      levels: #"""
        ` 1 2 3 4 5 6 7 8 9 0 ' +
        q w e r t z u i o p š đ
        a s d f g h j k l č ć ž
        < y x c v b n m , . \-
        ~ ! " # $ % & / ( ) = ? *
        Q W E R T Z U I O P Š Đ
        A S D F G H J K L Č Ć Ž
        > Y X C V B N M ; : _
        ¬ ~ caron ^ breve ° ogonek ` abovedot acute doubleacute diaeresis cedilla
        \ | € ¶ ŧ ← ↓ → ø þ ÷ ×
        æ „ ” [ ] ħ hook ł ł acute ß ¤
        | ‘ ’ ¢ @ { } § < > belowdot
        ¬ tilde ˇ circumflex ˘ abovering ˛ grave ˙ ' ˝ ¨ ¸
        Ω Ł € ® Ŧ ¥ ↑ ı Ø Þ abovering macron
        Æ » « ª Ŋ Ħ horn & Ł doubleacute caron breve
        ¦ » « © ` ' } º × ÷ abovedot
        """#),
    Row(
      name: "si", title: "Slovenian",
      levels: #"""
        ¸ 1 2 3 4 5 6 7 8 9 0 ' +
        q w e r t z u i o p š đ
        a s d f g h j k l č ć ž
        < y x c v b n m , . \-
        ¨ ! " # $ % & / ( ) = ? *
        Q W E R T Z U I O P Š Đ
        A S D F G H J K L Č Ć Ž
        > Y X C V B N M ; : _
        - tilde caron circumflex breve abovering ogonek grave abovedot acute doubleacute diaeresis cedilla
        \ | € ¶ ŧ ← ↓ → ø þ ÷ ×
        æ „ “ [ ] ħ hook ł ł acute ß ¤
        | ‘ ’ ¢ @ { } § < > —
        - ~ ˇ ^ ˘ ° ˛ ` ˙ ' ˝ ¨ ¸
        Ω Ł € ® Ŧ ¥ ↑ ı Ø Þ abovering macron
        Æ » « ª Ŋ Ħ horn & Ł doubleacute caron breve
        ¦ » « © ` ' } º × ÷ –
        """#),
  ]
}
