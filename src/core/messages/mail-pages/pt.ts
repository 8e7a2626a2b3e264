import type { Texts } from './en.js'

export const pt: Texts = {
  verify_email: {
    title: 'Confirme o seu endereço de e-mail',
    text: 'Confirme que este endereço pertence à sua conta.',
    button: 'Confirmar',
    done: 'O seu endereço está confirmado. Pode fechar esta página.'
  },
  reset_password: {
    title: 'Definir uma nova senha',
    text: 'Todas as suas sessões vão terminar. O seu segundo fator fica como está.',
    button: 'Definir a senha',
    done: 'A sua senha está definida. Já pode iniciar sessão com ela.'
  },
  undo_email_change: {
    title: 'Mantenha o seu endereço de e-mail',
    text: 'Todas as sessões da sua conta vão terminar, e este endereço fica. Depois inicie sessão e mude a sua senha.',
    button: 'Manter este endereço',
    done: 'Este endereço fica, e todas as sessões terminaram. Inicie sessão e mude a sua senha agora.'
  },
  newPassword: 'Nova senha',
  incomplete: 'Este link está incompleto. Abra de novo o link do e-mail.',
  noAnswer: 'Não há resposta. Tente de novo dentro de momentos.',
  needsScript: 'Esta página precisa de JavaScript para enviar o código do seu link.'
}
