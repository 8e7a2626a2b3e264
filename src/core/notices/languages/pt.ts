import type { Texts } from '../texts.js'

export const pt: Texts = {
  greeting: 'Olá, {name}:',
  notices: {
    otp_enabled: {
      subject: 'A autenticação de dois fatores está ativada', text: 'A autenticação de dois fatores foi ativada na sua conta.'
    },
    otp_device_added: { subject: 'Foi adicionado um segundo fator', text: 'Foi adicionado outro segundo fator à sua conta.' },
    otp_device_removed: { subject: 'Foi removido um segundo fator', text: 'Foi removido um segundo fator da sua conta.' },
    otp_disabled: {
      subject: 'A autenticação de dois fatores está desativada',
      text: 'A autenticação de dois fatores foi desativada na sua conta. Agora basta a senha para a abrir.'
    },
    recovery_regenerated: {
      subject: 'Novos códigos de recuperação',
      text: 'Foram criados novos códigos de recuperação para a sua conta. Os anteriores já não são válidos.'
    },
    recovery_used: { subject: 'Foi usado um código de recuperação', text: 'Foi usado um código de recuperação para entrar na sua conta.' },
    otp_reset: {
      subject: 'O seu segundo fator foi reposto',
      text: 'A administração repôs o segundo fator da sua conta. Todas as suas sessões terminaram.'
    },
    otp_locked: {
      subject: 'Códigos errados na sua conta',
      text: 'Foram dados demasiados códigos errados na sua conta, depois da senha correta. Se não foi você, alguém conhece a sua senha.'
    },
    otp_stopped: {
      subject: 'Os códigos já não são aceites',
      text: 'Foram dados tantos códigos errados na sua conta, depois da senha correta, que nenhum código de uma aplicação é aceite até ' +
        'usar um código de recuperação ou a administração desbloquear a conta. Se não foi você, alguém conhece a sua senha.'
    },
    refresh_reused: {
      subject: 'Uma sessão foi terminada',
      text: 'Um token de uma das suas sessões foi apresentado duas vezes, por isso talvez exista uma cópia. Essa sessão terminou.'
    },
    password_changed: { subject: 'A sua senha foi alterada', text: 'A senha da sua conta foi alterada.' },
    password_reset: {
      subject: 'A sua senha foi reposta',
      text: 'Foi definida uma nova senha para a sua conta através de um link. Todas as suas sessões terminaram.'
    },
    email_changed: { subject: 'O seu endereço de e-mail foi alterado', text: 'O endereço de e-mail da sua conta foi alterado.' }
  },
  messages: {
    verify_email: {
      subject: 'Confirme o seu endereço de e-mail',
      text: 'Confirme que este é o endereço de e-mail da conta {username}. O link é válido durante 24 horas:\n\n{link}\n\n' +
        'Se não fez este pedido, não precisa de fazer nada.'
    },
    reset_password: {
      subject: 'Defina uma nova senha',
      text: 'Foi pedida uma nova senha para a conta {username}. O link é válido durante 30 minutos e uma só vez:\n\n{link}\n\n' +
        'Se não fez este pedido, não precisa de fazer nada: a sua senha não muda.'
    },
    undo_email_change: {
      subject: 'O seu endereço de e-mail vai ser alterado',
      text: 'Foi indicado outro endereço de e-mail para a conta {username}. Se foi você, não precisa de fazer nada.\n\n' +
        'Se não foi você, abra este link dentro de 72 horas. Termina todas as sessões e mantém este endereço:\n\n{link}'
    },
    reset_password_staff: {
      subject: 'A sua senha não pode ser reposta por e-mail',
      text: 'Foi pedida uma nova senha para a conta {username}. Um membro da administração sem segundo fator não recebe nenhum link. ' +
        'Dirija-se a outro membro da administração.'
    }
  },
  at: 'Quando: {at}',
  from: 'Endereço de rede: {ip}',
  agent: 'Programa: {agent}',
  device: 'Nome: {device}',
  recoveryCodesLeft: 'Códigos de recuperação restantes: {count}',
  more: 'Isto aconteceu mais {count} vezes desde a última mensagem sobre o assunto.',
  advice: {
    own: 'Se não foi você, altere agora a sua senha e termine as suas outras sessões.',
    staff: 'Se não fez este pedido, avise agora a administração de {issuer}.',
    password: 'Se não foi você, altere agora a sua senha. O seu segundo fator protegeu a conta.'
  }
}
